import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Collection } from 'mongodb'
import { idOf } from '../../src/ids.ts'
import { forked } from '../support/forked.ts'
import { type AppOptions, anApp, KEY, onEachStore, test } from '../support/frameworks.ts'
import { gate } from '../support/gate.ts'
import { Random } from '../support/linearizability/random.ts'
import { aCollection, withoutMongoDB } from '../support/mongodb/collection.ts'
import { type Answer, Visitor } from '../support/visitor.ts'
import type { Watched } from '../support/watchedstore.ts'

// LATE_WRITERS_SEED=42 tsx test/run.ts test/http/late-writers.test.ts
// A seed determines who waits how long before they act; what comes of it is up to the machine.

const SEED = Number(process.env.LATE_WRITERS_SEED ?? Date.now() % 1_000_000)
const RACES = 200
/** Visitors who race at the same time, each for themselves. */
const AT_ONCE = 20
const MOST_MS = 12

const file = fileURLToPath(new URL('../support/latewriters/process.ts', import.meta.url))
const writes = ['/write-loaded', '/write-blind', '/write-unawaited']

interface Stored {
  _id: string
  expires: Date
  data?: Record<string, unknown>
}

/** One browser whose session is ended by one process while a request is under way at the other. */
interface Race {
  readonly collection: Collection<Stored>
  readonly browser: Visitor
  /** The session's id before it was ended. */
  readonly id: string
  /** What ends the session, and its delay. */
  readonly end: (path: string) => Promise<Answer>
  readonly endMs: number
  /** The late request. */
  readonly late: (path: string) => Promise<Answer>
  /** Which of the late requests it is. */
  readonly path: string
  /** What the browser sees afterwards, whatever process serves it. */
  readonly seen: () => Promise<Record<string, unknown>>
}

/** 200 races, each over a session of its own; a failure tells the seed. */
async function races(t: TestContext, paths: readonly string[], race: (race: Race) => Promise<void>) {
  t.diagnostic(`seed ${SEED}`)
  const collection = aCollection<Stored>(t)
  const args = [process.env.MONGODB_URI ?? '', collection.collectionName]
  const [p1 = '', p2 = ''] = await Promise.all([forked(t, file, args), forked(t, file, args)])
  const random = new Random(SEED)
  const plans = Array.from({ length: RACES }, () => ({
    path: random.pick(paths),
    endMs: random.below(MOST_MS),
    lateMs: random.below(MOST_MS),
  }))
  for (let first = 0; first < RACES; first += AT_ONCE) {
    await Promise.all(
      plans.slice(first, first + AT_ONCE).map(async ({ path, endMs, lateMs }, index) => {
        const browser = new Visitor(p1)
        // One jar: the cookies of an answer are kept when it arrives, whichever process gave it.
        const elsewhere = Object.assign(new Visitor(p2), { jar: browser.jar })
        try {
          const id = (await browser.get('/begin')).json as string
          const seen = async () => {
            const [here, there] = [await browser.get('/read'), await elsewhere.get('/read')]
            assert.deepEqual(here.json, there.json)
            return here.json as Record<string, unknown>
          }
          const end = (where: string) => browser.get(`${where}?ms=${endMs}`)
          const late = (where: string) => elsewhere.get(`${where}?ms=${lateMs}`)
          await race({ collection, browser, id, end, endMs, late, path, seen })
        } catch (error) {
          throw new Error(`In race ${first + index}, ${path} after ${lateMs} ms, of seed ${SEED}`, {
            cause: error,
          })
        } finally {
          browser.leave()
          elsewhere.leave()
        }
      }),
    )
  }
  return collection
}

function isDoneOrRefused({ status, text }: Answer): boolean {
  assert.ok(status === 200 || status === 401, `${status} ${text}`)
  return status === 200
}

function idIn({ jar }: Visitor): string {
  return idOf(jar.get('sid')?.split('.')[0] ?? '')
}

/** All that is left of a session that has ended. */
async function assertTombstone(collection: Collection<Stored>, id: string): Promise<void> {
  const left = await collection.findOne({ _id: id })
  assert.deepEqual(
    Object.keys(left ?? {})
      .filter(name => name !== 'next')
      .sort(),
    ['_id', 'ended', 'expires', 'v'],
  )
}

test('200 late requests bring nothing back after a sign-out', { skip: withoutMongoDB }, async t => {
  const paths = [...writes, '/touch-loaded']
  const collection = await races(t, paths, async ({ browser, id, end, late, path, seen, ...race }) => {
    const [ended, written] = await Promise.all([end('/destroy'), late(path)])
    assert.equal(ended.status, 200)
    isDoneOrRefused(written)
    if (path !== '/touch-loaded') {
      assert.deepEqual(written.setCookies, [])
      assert.equal(browser.jar.size, 0)
    }
    await assertTombstone(race.collection, id)
    assert.deepEqual(await seen(), {})
  })
  assert.equal(await collection.countDocuments({ data: { $exists: true } }), 0)
})

test('200 late requests neither write to nor take away the session of a sign-in', {
  skip: withoutMongoDB,
}, async t => {
  const collection = await races(t, writes, async ({ browser, id, end, late, path, seen, ...race }) => {
    const [signedIn, written] = await Promise.all([end('/sign-in'), late(path)])
    assert.equal(signedIn.status, 200)
    isDoneOrRefused(written)
    assert.deepEqual(written.setCookies, [])
    assert.equal(idIn(browser), signedIn.json)
    await assertTombstone(race.collection, id)
    assert.deepEqual(await seen(), { user: 'ada' })
  })
  assert.equal(await collection.countDocuments({ data: { $exists: true } }), RACES)
})

test('200 late requests that were acknowledged are in the renewed session, others nowhere', {
  skip: withoutMongoDB,
}, async t => {
  const collection = await races(t, writes, async ({ browser, id, end, late, path, seen, ...race }) => {
    const [renewed, written] = await Promise.all([end('/renew'), late(path)])
    assert.equal(renewed.status, 200)
    assert.deepEqual(written.setCookies, [])
    assert.equal(idIn(browser), renewed.json)
    await assertTombstone(race.collection, id)
    assert.deepEqual(await seen(), isDoneOrRefused(written) ? { name: 'Ada', late: true } : { name: 'Ada' })
  })
  assert.equal(await collection.countDocuments({ data: { $exists: true } }), RACES)
})

test('200 late requests follow a session that is rotated with grace', { skip: withoutMongoDB }, async t => {
  const collection = await races(t, writes, async ({ browser, id, end, late, path, seen, ...race }) => {
    const [rotated, written] = await Promise.all([end('/rotate'), late(path)])
    assert.equal(rotated.status, 200)
    assert.equal(written.status, 200, written.text)
    assert.equal(idIn(browser), rotated.json)
    await assertTombstone(race.collection, id)
    assert.deepEqual(await seen(), { name: 'Ada', late: true })
  })
  assert.equal(await collection.countDocuments({ data: { $exists: true } }), RACES)
})

test('200 late requests bring nothing back after the end of a session’s life', {
  skip: withoutMongoDB,
}, async t => {
  const past = new Date(Date.now() - 1000)
  const paths = [...writes, '/touch-loaded']
  const collection = await races(t, paths, async ({ browser, id, endMs, late, path, seen, ...race }) => {
    const expire = async () => {
      await delay(endMs)
      await race.collection.updateOne({ _id: id }, { $set: { expires: past } })
    }
    const [written] = await Promise.all([late(path), expire()])
    isDoneOrRefused(written)
    // Who writes after it is a new visitor, whose session has nothing of the old one; that is what their cookie is of.
    const isNew = written.setCookies.some(line => /^sid=[^;]/.test(line)) && idIn(browser) !== id
    if (path !== '/touch-loaded' || isNew) assert.deepEqual(await seen(), isNew ? { late: true } : {})
    else assert.deepEqual(await seen(), {})
    if (isNew) assert.equal(await race.collection.countDocuments({ _id: idIn(browser) }), 1)
  })
  // Nothing moved the end of a session that was over, and none of their fields is in a session that lives.
  const living = { expires: { $gt: new Date() } }
  assert.equal(await collection.countDocuments({ ...living, 'data.name': { $exists: true } }), 0)
  assert.equal(await collection.countDocuments({ expires: past }), RACES)
})

const DAY = 24 * 60 * 60 * 1000

/** A visitor whose slow request is overtaken by their own sign-in. */
async function overtaken(t: TestContext, { store }: Watched, how: 'read' | 'write', options: AppOptions) {
  const reached = gate()
  const go = gate()
  const start = Date.now()
  t.mock.timers.enable({ apis: ['Date'], now: start })
  const { app, visitor } = await anApp(
    t,
    { store, ...options },
    {
      '/begin': ctx => ctx.session.set('name', 'Ada'),
      '/read': async ctx => ({ ...(await ctx.session()) }),
      '/sign-in': async ctx => {
        const session = await ctx.session.regenerate()
        await session.set('user', 'ada')
      },
      '/slow': async ctx => {
        if (how === 'read') await ctx.session()
        else await ctx.session.set('seen', true)
        reached.open()
        await go.opened
      },
    },
  )
  const browser = visitor()
  const elsewhere = Object.assign(visitor(), { jar: browser.jar })
  await browser.get('/begin')
  return {
    app,
    later: (ms: number) => t.mock.timers.setTime(start + ms),
    async race(meanwhile = () => {}) {
      const late = elsewhere.get('/slow')
      await reached.opened
      meanwhile()
      await browser.get('/sign-in')
      go.open()
      assert.equal((await late).status, 200)
      assert.deepEqual((await browser.get('/read')).json, { user: 'ada' })
    },
  }
}

onEachStore(
  'a late response that would renew a retired signature leaves a new cookie alone',
  async (t, watched) => {
    const { app, race } = await overtaken(t, watched, 'read', {})
    app.keys = ['a new key, which signs from now on, and is long enough', KEY]
    await race()
  },
)

onEachStore(
  'a late response that would extend a session it has read leaves a new cookie alone',
  async (t, watched) => {
    const { later, race } = await overtaken(t, watched, 'read', { maxAge: '10 days' })
    later(2 * DAY)
    await race()
  },
)

onEachStore(
  'a late response that extended a session by writing leaves a new cookie alone',
  async (t, watched) => {
    const { later, race } = await overtaken(t, watched, 'write', { maxAge: '10 days' })
    later(2 * DAY)
    await race(() => later(2 * DAY + 1000))
  },
)
