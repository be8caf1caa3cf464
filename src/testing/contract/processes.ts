import assert from 'node:assert/strict'
import { IdTakenError, SessionTooLargeError, StoreUnavailableError } from '../../errors.ts'
import type { Outcome, Store } from '../../store/store.ts'
import type { BSON } from '../../stores/bson.ts'
import type { Test, TestOfTwo } from './case.ts'
import { concurrency } from './concurrency.ts'
import {
  aChange,
  aRecord,
  aSession,
  fieldsOf,
  guarded,
  inAnHour,
  inc,
  recordOf,
  set,
  together,
} from './records.ts'

/** Sessions for which two processes compete, each of them once. */
const MANY = 50

/** A store of which each call is made by one of two, in turns. */
function alternating(one: Store, other: Store): Store {
  let calls = 0
  const next = () => (calls++ % 2 === 0 ? one : other)
  return {
    insert: record => next().insert(record),
    load: id => next().load(id),
    read: (id, paths) => next().read(id, paths),
    update: (id, change, answer) => next().update(id, change, answer),
    end: (id, tombstone, until, rev) => next().end(id, tombstone, until, rev),
    delete: id => next().delete(id),
  }
}

/** Makes two calls at once. Which of them is begun first, and which store makes which, differs from one index to the next. */
async function compete<A, B>(
  index: number,
  [one, other]: readonly [Store, Store],
  call: (store: Store) => Promise<A>,
  rival: (store: Store) => Promise<B>,
): Promise<[A, B]> {
  const [caller, rivalling] = index % 4 < 2 ? [one, other] : [other, one]
  if (index % 2 === 0) return Promise.all([call(caller), rival(rivalling)])
  const [b, a] = await Promise.all([rival(rivalling), call(caller)])
  return [a, b]
}

function isRefused(outcome: Outcome): boolean {
  return outcome === 'refused'
}

/** What a store promises, it promises to all processes that use its data. */
export function processes(test: TestOfTwo, { calculateObjectSize: sizeOf }: BSON): void {
  const inTurns: Test = (title, run) =>
    test(`by two processes in turns: ${title}`, (one, other) =>
      run(alternating(one, other) as Parameters<typeof run>[0]))
  concurrency(inTurns)

  test('what one process has done another one sees', async (...stores) => {
    for (const [one, other] of [stores, stores.toReversed() as typeof stores]) {
      const record = await aSession(one, { n: 1 })
      const { id } = record
      await assert.rejects(other.insert(aRecord({}, { id })), IdTakenError)
      assert.deepEqual(await other.load(id), record)
      for (const [index, [writer, reader]] of [
        [other, one],
        [other, one],
        [one, other],
        [one, other],
      ].entries()) {
        const fields = { n: index + 2 }
        await writer?.update(id, aChange(inc('n')))
        assert.deepEqual(await reader?.load(id), { ...record, rev: index + 2, fields })
        assert.deepEqual(await reader?.read(id, ['n']), { rev: index + 2, fields })
      }
      const spend = guarded({ path: 'n', comparator: '=', arg: 5 }, set('n', 0))
      assert.deepEqual(await other.update(id, spend, { paths: ['n'], when: 'before' }), {
        rev: 6,
        fields: { n: 5 },
      })
      assert.equal(await one.update(id, spend), 'refused')
      const tombstone = { ended: new Date() }
      assert.equal(await one.end(id, tombstone, inAnHour()), true)
      assert.deepEqual(await other.load(id), tombstone)
      assert.equal(await other.update(id, aChange(inc('n'))), 'ended')
      assert.equal(await other.end(id, tombstone, inAnHour()), false)
      await other.delete(id)
      assert.equal(await one.load(id), undefined)
      const next = await aSession(one, {}, { id })
      assert.deepEqual(await other.load(id), next)
    }
  })

  test(
    'a user that one process has set is found by another one',
    async (one, other) => {
      await one.ensureIndex?.('user')
      await other.ensureIndex?.('user')
      const { id } = await aSession(one, { user: 'ada' })
      await other.update(id, aChange(set('user', 'eve')))
      for (const [user, count] of Object.entries({ ada: 0, eve: 1 })) {
        let found = 0
        for await (const record of one.find('user', user)) found += Number(record.id === id)
        assert.equal(found, count, user)
      }
    },
    'find',
  )

  test('of changes for one revision by two processes at once, one is applied', async (...stores) => {
    await together(MANY, async index => {
      const { id } = await aSession(stores[0])
      const outcomes = await compete(
        index,
        stores,
        store => store.update(id, { ...aChange(set('a', 1)), rev: 1 }),
        store => store.update(id, { ...aChange(set('b', 1)), rev: 1 }),
      )
      assert.equal(outcomes.filter(isRefused).length, 1)
      const { rev, fields } = await recordOf(stores[1], id)
      assert.deepEqual([rev, fields], [2, isRefused(outcomes[0]) ? { b: 1 } : { a: 1 }])
    })
  })

  test('a session is ended by one process at a revision, or changed by another one, not both', async (...stores) => {
    await together(MANY, async index => {
      const { id } = await aSession(stores[0], { n: 0 })
      const tombstone = { ended: new Date() }
      const [isEnded, outcome] = await compete(
        index,
        stores,
        store => store.end(id, tombstone, inAnHour(), 1),
        store => store.update(id, aChange(inc('n'))),
      )
      assert.deepEqual(outcome, isEnded ? 'ended' : {})
      if (isEnded) assert.deepEqual(await stores[1].load(id), tombstone)
      else assert.deepEqual(await fieldsOf(stores[1], id), { n: 1 })
    })
  })

  test('a guard sees what another process does to a field that the change leaves alone', async (...stores) => {
    const taking = (mine: string, theirs: string) =>
      guarded({ path: theirs, comparator: 'exists', arg: false }, set(mine, 1))
    await together(MANY, async index => {
      const { id } = await aSession(stores[0])
      const outcomes = await compete(
        index,
        stores,
        store => store.update(id, taking('a', 'b')),
        store => store.update(id, taking('b', 'a')),
      )
      assert.equal(outcomes.filter(isRefused).length, 1)
      assert.deepEqual(await fieldsOf(stores[1], id), isRefused(outcomes[0]) ? { b: 1 } : { a: 1 })
    })
  })

  test('no two processes together make a session larger than it may be', async (one, other) => {
    const maxSize = 5000
    const { id } = await aSession(one)
    const both = alternating(one, other)
    const outcomes = await together(100, async index => {
      const change = { ...aChange(set(`k${index}`, 'x'.repeat(100))), maxSize }
      return both.update(id, change).catch(error => {
        // A store that compares and sets may give up where so many meet.
        const isHarmless = error instanceof StoreUnavailableError && error.outcome === 'none'
        assert.ok(isHarmless || error instanceof SessionTooLargeError, String(error))
        return undefined
      })
    })
    const fields = await fieldsOf(other, id)
    assert.equal(Object.keys(fields).length, outcomes.filter(Boolean).length)
    assert.ok(sizeOf(fields) <= maxSize, `${sizeOf(fields)} bytes`)
  })

  test('no process undoes the lifetime that another one has given to a session', async (...stores) => {
    const expires = inAnHour()
    const later = new Date(expires.getTime() + 1000)
    await together(MANY, async index => {
      const { id } = await aSession(stores[0], {}, { maxAge: 5000 })
      const [outcome] = await compete(
        index,
        stores,
        store => store.update(id, { ...aChange(set('a', 1)), expires: later, whileMaxAge: 5000 }),
        store => store.update(id, { ...aChange(set('b', 1)), expires, maxAge: 6000 }),
      )
      assert.match(JSON.stringify(outcome), /^{("maxAge":6000)?}$/)
      const found = await recordOf(stores[1], id)
      assert.deepEqual([found.expires, found.maxAge, found.fields], [expires, 6000, { a: 1, b: 1 }])
    })
  })

  test('no process shortens the life that another one has given to a session', async (...stores) => {
    const sooner = new Date(Date.now() + 7_200_000)
    const later = new Date(sooner.getTime() + 1000)
    await together(MANY, async index => {
      const { id } = await aSession(stores[0])
      await compete(
        index,
        stores,
        store => store.update(id, { ...aChange(set('a', 1)), expires: sooner }),
        store => store.update(id, { ...aChange(set('b', 1)), expires: later }),
      )
      const { expires, fields } = await recordOf(stores[1], id)
      assert.deepEqual([expires, fields], [later, { a: 1, b: 1 }])
    })
  })
}
