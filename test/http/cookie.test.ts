import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { inspect } from 'node:util'
import Keygrip from 'keygrip'
import { HeadersSentError, SessionError } from '../../src/index.ts'
import { anApp, KEY, onEachStore, type Routes, test } from '../support/frameworks.ts'
import { aCollection, withoutMongoDB } from '../support/mongodb/collection.ts'

const OTHER_KEY = 'another key that is known to the tests only, of no worth'

const routes: Routes = {
  '/noop': () => 'nothing',
  '/read': async ctx => ({ ...(await ctx.session()) }),
  '/write': ctx => ctx.session.set('name', 'Ada'),
  '/destroy': ctx => ctx.session.destroy(),
  '/regenerate': async ctx => {
    await ctx.session.regenerate({ keep: true })
  },
}

/** A cookie as the app itself would sign it. */
function signed({
  key = 'sid',
  by = KEY,
  payload = 'ab'.repeat(20),
  issued = Date.now(),
}: {
  key?: string
  by?: string
  payload?: string
  issued?: number
}): string {
  const value = `${payload}.${issued.toString(36)}.${(1_209_600_000).toString(36)}`
  return `${value}.${new Keygrip([by], 'sha256').sign(`${key}=${value}`)}`
}

onEachStore('a cookie that is not ours is a visitor without a session', async (t, { store, calls }) => {
  const { visitor, errors } = await anApp(t, { store }, routes)
  const ada = visitor()
  await ada.get('/write')
  const value = ada.jar.get('sid') ?? ''
  const [secret = '', issued = '', maxAge = '', signature = ''] = value.split('.')
  const strange: Record<string, string> = {
    empty: 'sid=',
    'without a value': 'sid',
    'of 5 kB': `sid=${'a'.repeat(5000)}`,
    'of 5 kB of dots': `sid=${'.'.repeat(5000)}`,
    'no signature': `sid=${secret}.${issued}.${maxAge}`,
    'an empty signature': `sid=${secret}.${issued}.${maxAge}.`,
    'a signature only': `sid=${signature}`,
    'a bare secret': `sid=${secret}`,
    'an id': `sid=${createHash('sha256').update(secret).digest('hex')}`,
    'cut short': `sid=${value.slice(0, -1)}`,
    'made longer': `sid=${value}A`,
    quoted: `sid="${value}"`,
    encoded: `sid=${value.replaceAll('.', '%2E')}`,
    'in capitals': `sid=${value.toUpperCase()}`,
    'of another name': `SID=${value}`,
    'of a longer name': `asid=${value}`,
    'with a no-break space': `\u00a0sid=${value}`,
    'of another session of the app': `sid=${signed({ key: 'basket' })}`,
    'of another app': `sid=${signed({ by: OTHER_KEY })}`,
    'with a secret that is too short': `sid=${signed({ payload: 'ab'.repeat(16) })}`,
    'with a secret of other letters': `sid=${signed({ payload: 'XY'.repeat(20) })}`,
    'JSON of Koa’s own': `sid=${Buffer.from('{"name":"Ada"}').toString('base64')}`,
    'an operator': 'sid[$ne]=1',
    'two that verify': `sid=${value}; sid=${signed({})}`,
  }
  calls.length = 0
  for (const [name, cookie] of Object.entries(strange)) {
    const { status, json, setCookies } = await visitor().get('/read', { Cookie: cookie })
    assert.equal(status, 200, name)
    assert.deepEqual(json, {}, name)
    assert.deepEqual(setCookies, [], name)
  }
  assert.deepEqual(calls, [])
  assert.deepEqual(errors, [])
  assert.deepEqual((await ada.get('/read')).json, { name: 'Ada' })
})

onEachStore('who writes with a cookie that is not ours gets a session of their own', async (t, watched) => {
  const { store, calls, records } = watched
  const { visitor } = await anApp(t, { store }, routes)
  const { setCookies } = await visitor().get('/write', { Cookie: `sid=${signed({ by: OTHER_KEY })}` })
  assert.equal(setCookies.length, 1)
  assert.deepEqual(calls, ['insert'])
  assert.notEqual((await records())[0]?.id, createHash('sha256').update('ab'.repeat(20)).digest('hex'))
})

onEachStore('an id that the server has not issued is never taken on', async (t, { store, records }) => {
  const { visitor } = await anApp(t, { store }, routes)
  const mallory = visitor()
  mallory.jar.set('sid', signed({}))
  const { setCookies } = await mallory.get('/write')
  assert.equal(setCookies.length, 1)
  assert.ok(!setCookies[0]?.includes('ab'.repeat(20)))
  assert.notEqual((await records())[0]?.id, createHash('sha256').update('ab'.repeat(20)).digest('hex'))
})

onEachStore('a cookie altered in any one place is no cookie', async (t, { store, calls }) => {
  const { visitor } = await anApp(t, { store }, routes)
  const ada = visitor()
  await ada.get('/write')
  const value = ada.jar.get('sid') ?? ''
  calls.length = 0
  await Promise.all(
    Array.from(value, async (letter, at) => {
      const other = letter === 'a' ? 'b' : 'a'
      const altered = `sid=${value.slice(0, at)}${other}${value.slice(at + 1)}`
      const { status, json } = await ada.get('/read', { Cookie: altered })
      assert.equal(status, 200)
      assert.deepEqual(json, {}, `at ${at}`)
    }),
  )
  assert.deepEqual(calls, [])
})

onEachStore('of several cookies of our name the one that verifies counts', async (t, { store }) => {
  const { visitor } = await anApp(t, { store }, routes)
  const ada = visitor()
  await ada.get('/write')
  const value = ada.jar.get('sid') ?? ''
  const some = [
    `sid=junk; sid=${value}`,
    `sid=${value}; sid=junk`,
    `sid=${value}; sid=${value}`,
    `other=1;sid=${value};more=2`,
    `sid\t=\t${value}`,
    `sid=; sid=${signed({ by: OTHER_KEY })}; sid=${value}`,
  ]
  for (const cookie of some) {
    assert.deepEqual((await visitor().get('/read', { Cookie: cookie })).json, { name: 'Ada' }, cookie)
  }
})

onEachStore('dozens of cookies of our name are not all looked at', async (t, { store, calls }) => {
  const { visitor } = await anApp(t, { store }, routes)
  const ada = visitor()
  await ada.get('/write')
  const junk = Array.from({ length: 50 }, (_, n) => `sid=junk${n}`)
  calls.length = 0
  const { status, json } = await ada.get('/read', {
    Cookie: [...junk, `sid=${ada.jar.get('sid')}`].join('; '),
  })
  assert.equal(status, 200)
  assert.deepEqual(json, {})
  assert.deepEqual(calls, [])
})

onEachStore('a session is taken from the cookie and from nowhere else', async (t, { store, calls }) => {
  const { visitor } = await anApp(t, { store }, routes)
  const ada = visitor()
  await ada.get('/write')
  const value = ada.jar.get('sid') ?? ''
  calls.length = 0
  const headers = { 'X-Session-Id': value, Authorization: `Bearer ${value}`, sid: value }
  assert.deepEqual((await visitor().get(`/read?sid=${value}`, headers)).json, {})
  assert.deepEqual((await visitor().post('/read', { sid: value }, headers)).json, {})
  assert.deepEqual(calls, [])
})

onEachStore('the cookie is signed, bound to its path and kept from scripts', async (t, { store }) => {
  const { visitor } = await anApp(t, { store }, routes)
  const { setCookies } = await visitor().get('/write')
  const shape =
    /^sid=[0-9a-f]{40}\.[0-9a-z]{1,11}\.[0-9a-z]{1,11}\.[\w-]{43}; path=\/; expires=[^;]+; samesite=lax; httponly$/i
  assert.match(setCookies[0] ?? '', shape)
})

onEachStore(
  'the cookie is secure where the request is, proxies being trusted or not',
  async (t, { store }) => {
    const https = { 'X-Forwarded-Proto': 'https' }
    const trusting = await anApp(t, { store, prepare: app => (app.proxy = true) }, routes)
    assert.match((await trusting.visitor().get('/write', https)).setCookies[0] ?? '', /; secure/i)
    assert.doesNotMatch((await trusting.visitor().get('/write')).setCookies[0] ?? '', /secure/i)
    const wary = await anApp(t, { store }, routes)
    assert.doesNotMatch((await wary.visitor().get('/write', https)).setCookies[0] ?? '', /secure/i)
  },
)

onEachStore('a response carries one session cookie, whatever was done', async (t, { store }) => {
  const { visitor } = await anApp(
    t,
    { store },
    {
      ...(routes as object),
      '/much': async ctx => {
        await ctx.session.set('a', 1)
        await ctx.session.regenerate({ keep: true })
        await ctx.session.set('b', 1)
        await ctx.session.touch()
        await ctx.session.regenerate({ keep: true })
        return { ...(await ctx.session()) }
      },
      '/end': async ctx => {
        await ctx.session.set('a', 1)
        await ctx.session.destroy()
      },
    },
  )
  const ada = visitor()
  const { setCookies } = await ada.get('/much')
  assert.equal(setCookies.length, 1)
  assert.deepEqual((await ada.get('/read')).json, { a: 1, b: 1 })
  assert.equal((await ada.get('/end')).setCookies.length, 1)
  assert.deepEqual([...ada.jar.keys()], [])
})

onEachStore('the cookie is not sent again while it is fresh', async (t, { store }) => {
  const { visitor } = await anApp(t, { store }, routes)
  const ada = visitor()
  await ada.get('/write')
  for (const path of ['/noop', '/read', '/write']) {
    assert.deepEqual((await ada.get(path)).setCookies, [], path)
  }
})

onEachStore(
  'using a session whose cookie is old extends it and sends the cookie again',
  async (t, watched) => {
    const { store, calls, records } = watched
    const { visitor } = await anApp(t, { store }, routes)
    const ada = visitor()
    await ada.get('/write')
    const [first] = await records()
    const old = ada.jar.get('sid') ?? ''
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 2 * 24 * 60 * 60 * 1000 })

    calls.length = 0
    assert.deepEqual((await ada.get('/noop')).setCookies, [])
    assert.deepEqual(calls, [])
    const { setCookies } = await ada.get('/read')
    assert.equal(setCookies.length, 1)
    assert.equal(ada.jar.get('sid')?.slice(0, 40), old.slice(0, 40))
    assert.deepEqual(calls, ['load', 'update'])
    const [extended] = await records()
    assert.ok((extended?.expires ?? 0) > (first?.expires ?? 0))
    assert.deepEqual((await ada.get('/read')).setCookies, [])

    ada.jar.set('sid', old)
    calls.length = 0
    assert.equal((await ada.get('/write')).setCookies.length, 1)
    assert.deepEqual(calls, ['update'])
  },
)

onEachStore('polling does not keep a session alive', async (t, { store, calls }) => {
  const { visitor } = await anApp(
    t,
    { store },
    {
      ...(routes as object),
      '/poll': async ctx => ({ ...(await ctx.session({ extend: false })) }),
    },
  )
  const ada = visitor()
  await ada.get('/write')
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 2 * 24 * 60 * 60 * 1000 })
  calls.length = 0
  const { json, setCookies } = await ada.get('/poll')
  assert.deepEqual(json, { name: 'Ada' })
  assert.deepEqual(setCookies, [])
  assert.deepEqual(calls, ['load'])
})

onEachStore(
  'a request that ends in an error still delivers the cookie of what it stored',
  async (t, watched) => {
    const { store, records } = watched
    const { visitor } = await anApp(
      t,
      { store },
      {
        ...(routes as object),
        '/error': async ctx => {
          await ctx.session.set('name', 'Ada')
          throw new Error('broken')
        },
        '/refused': async ctx => {
          await ctx.session.set('name', 'Eve')
          ctx.throw(403, 'no', { headers: { 'X-Reason': 'because' } })
        },
        '/nothing': async ctx => {
          await ctx.session.set('name', 'Bob')
          throw null
        },
      },
    )
    const ada = visitor()
    const broken = await ada.get('/error')
    assert.equal(broken.status, 500)
    assert.equal(broken.text, 'Internal Server Error')
    assert.equal(broken.setCookies.length, 1)
    assert.equal(broken.headers['cache-control'], 'no-store')
    assert.deepEqual((await ada.get('/read')).json, { name: 'Ada' })

    const eve = visitor()
    const refused = await eve.get('/refused')
    assert.equal(refused.status, 403)
    assert.equal(refused.headers['x-reason'], 'because')
    assert.equal(refused.setCookies.length, 1)
    assert.deepEqual((await eve.get('/read')).json, { name: 'Eve' })

    const bob = visitor()
    assert.equal((await bob.get('/nothing')).status, 500)
    assert.deepEqual((await bob.get('/read')).json, { name: 'Bob' })
    assert.equal((await records()).length, 3)
  },
)

onEachStore(
  'a response with the cookie is stored nowhere, and one that read the session varies',
  async (t, w) => {
    const { visitor } = await anApp(
      t,
      { store: w.store },
      {
        ...(routes as object),
        '/before': async ctx => {
          ctx.set('Cache-Control', 'private, no-cache')
          await ctx.session.set('a', 1)
        },
        '/after': async ctx => {
          await ctx.session.set('a', 1)
          ctx.set('Cache-Control', 'private, no-cache')
        },
        '/vary': async ctx => {
          ctx.vary('Accept')
          await ctx.session()
        },
      },
    )
    const ada = visitor()
    const created = await ada.get('/write')
    assert.equal(created.headers['cache-control'], 'no-store')
    assert.equal(created.headers.vary, 'Cookie')
    const read = await ada.get('/read')
    assert.equal(read.headers['cache-control'], undefined)
    assert.equal(read.headers.vary, 'Cookie')
    assert.equal((await visitor().get('/read')).headers.vary, 'Cookie')
    assert.equal((await ada.get('/vary')).headers.vary, 'Accept, Cookie')
    const { headers } = await ada.get('/noop')
    assert.equal(headers['cache-control'], undefined)
    assert.equal(headers.vary, undefined)
    for (const path of ['/before', '/after']) {
      assert.equal((await visitor().get(path)).headers['cache-control'], 'private, no-cache', path)
    }
    assert.equal((await ada.get('/destroy')).headers['cache-control'], 'no-store')
  },
)

onEachStore('once the headers are sent nothing that needs a cookie is stored', async (t, watched) => {
  const { store, calls } = watched
  const outcomes: unknown[] = []
  const { visitor } = await anApp(
    t,
    { store },
    {
      '/write': ctx => ctx.session.set('n', 1),
      '/read': async ctx => ({ ...(await ctx.session()) }),
      '/stream': async ctx => {
        ctx.respond = false
        ctx.res.write('begun')
        const act = ctx.query.act as 'set' | 'regenerate' | 'createCSRF' | 'destroy'
        const acts = {
          set: () => ctx.session.set('n', 2),
          regenerate: () => ctx.session.regenerate(),
          createCSRF: async () => ctx.session.createCSRF(),
          destroy: () => ctx.session.destroy(),
        }
        outcomes.push(
          await acts[act]().then(
            () => 'done',
            error => error,
          ),
        )
        ctx.res.end()
      },
    },
  )
  for (const act of ['set', 'regenerate', 'createCSRF']) {
    const { text, setCookies } = await visitor().get(`/stream?act=${act}`)
    assert.equal(text, 'begun')
    assert.deepEqual(setCookies, [])
    assert.ok(outcomes.pop() instanceof HeadersSentError, act)
  }
  assert.deepEqual(calls, [])

  const ada = visitor()
  await ada.get('/write')
  await ada.get('/stream?act=set')
  assert.equal(outcomes.pop(), 'done')
  assert.deepEqual((await ada.get('/read')).json, { n: 2 })
  await ada.get('/stream?act=regenerate')
  assert.ok(outcomes.pop() instanceof HeadersSentError)
  assert.deepEqual((await ada.get('/read')).json, { n: 2 })
  await ada.get('/stream?act=destroy')
  assert.equal(outcomes.pop(), 'done')
  assert.deepEqual((await ada.get('/read')).json, {})
})

onEachStore('the cookie’s secret is in no body, no print and no error', async (t, { store }) => {
  const deep = { depth: 20, showHidden: true, showProxy: true, getters: true }
  const prints: string[] = []
  const { visitor, errors } = await anApp(
    t,
    { store },
    {
      '/write': async ctx => {
        const session = await ctx.session.regenerate()
        await session.set('name', 'Ada')
        for (const thing of [session, ctx.session, { ...session }]) {
          prints.push(inspect(thing), inspect(thing, deep), String(thing), JSON.stringify(thing) ?? '')
        }
        return { session, id: session.id, text: inspect(session), csrf: session.createCSRF() }
      },
      '/error': async ctx => {
        const session = await ctx.session()
        for (const fail of [
          () => session.inc('name'),
          () => session.set('$a', 1),
          () => session.assertCSRF('x'),
          () => session.set('a', undefined as never),
        ]) {
          try {
            await fail()
          } catch (error) {
            assert.ok(error instanceof SessionError)
            prints.push(inspect(error, deep), JSON.stringify(error), String(error.stack))
          }
        }
        await session.inc('name')
      },
    },
  )
  const ada = visitor()
  const written = await ada.get('/write')
  const failed = await ada.get('/error')
  assert.equal(failed.status, 500)
  assert.equal(errors.length, 1)
  prints.push(written.text, failed.text, inspect(errors, deep))
  const [secret = '', , , signature = ''] = (ada.jar.get('sid') ?? '').split('.')
  assert.match(secret, /^[0-9a-f]{40}$/)
  for (const print of prints) {
    assert.ok(!print.includes(secret.slice(0, 16)), print)
    assert.ok(!print.includes(signature), print)
  }
  assert.match(prints.join(), /name: 'Ada'/)
})

test('the database holds the SHA-256 of the secret and nothing that works as a cookie', {
  skip: withoutMongoDB,
}, async t => {
  const collection = aCollection<{ _id: string }>(t)
  const { sessions, visitor } = await anApp(t, {}, routes)
  sessions.collection = collection
  const ada = visitor()
  await ada.get('/write')
  const [secret = '', , , signature = ''] = (ada.jar.get('sid') ?? '').split('.')
  const [document] = await collection.find().toArray()
  assert.equal(document?._id, createHash('sha256').update(secret).digest('hex'))
  const stored = JSON.stringify(document)
  assert.ok(!stored.includes(secret) && !stored.includes(signature))
  assert.deepEqual(Object.keys(document ?? {}).sort(), [
    '_id',
    'created',
    'data',
    'expires',
    'maxAge',
    'rev',
    'v',
  ])
})
