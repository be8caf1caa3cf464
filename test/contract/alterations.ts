import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Binary, Decimal128, Long, MaxKey, MinKey, ObjectId, Timestamp } from 'mongodb'
import type { SessionId } from '../../src/ids.ts'
import { isEnded } from '../../src/store/record.ts'
import type { Store } from '../../src/store/store.ts'
import { aChange, aRecord, aSecondAgo, aSession, inAnHour, inc } from '../../src/testing/contract/records.ts'

/** A store that others can write to, by the names under which a record's parts are kept. */
export interface AlterableStore {
  readonly store: Store
  /** Puts a value in the place of a part of a record; `undefined` removes it. */
  alter(id: SessionId, part: string, value: unknown): Promise<void>
  /** All that is stored under the id, as it is. */
  seen(id: SessionId): Promise<unknown>
}

/** What somebody's hand may put in the place of a part. */
const odd: [what: string, value: unknown][] = [
  ['nothing', undefined],
  ['null', null],
  ['true', true],
  ['NaN', Number.NaN],
  ['Infinity', Infinity],
  ['zero', 0],
  ['a number below zero', -1],
  ['half a number', 1.5],
  ['a number beyond all', 1e300],
  ['the largest long', Long.MAX_VALUE],
  ['a decimal', Decimal128.fromString('2')],
  ['a decimal that is none', Decimal128.fromString('NaN')],
  ['an empty text', ''],
  ['a text', 'text'],
  ['a number as text', '2'],
  ['a date as text', '2099-01-01T00:00:00.000Z'],
  ['an empty list', []],
  ['a list of a number', [1]],
  ['a list of what is right', [inAnHour()]],
  ['a list of fields', [{ n: 1, user: 'ada' }]],
  ['an empty object', {}],
  ['an object', { a: 1 }],
  ['a date long ago', new Date(0)],
  ['a date that has been', aSecondAgo()],
  ['a date to come', inAnHour()],
  ['a date far away', new Date(8.64e15)],
  ['bytes', new Binary(Buffer.from([1, 2]))],
  ['an id', new ObjectId()],
  ['a regular expression', /./],
  ['a timestamp', new Timestamp({ t: 1, i: 1 })],
  ['the least key', new MinKey()],
  ['the greatest key', new MaxKey()],
]

const parts = ['created', 'expires', 'absolute', 'maxAge', 'rev', 'data', 'ended', 'next', 'extra'] as const

/** How a store answers who asks whether a session is there. Each is asked of a session of its own. */
const questions: [what: string, isThere: (store: Store, id: SessionId) => Promise<boolean>][] = [
  [
    'loaded',
    async (store, id) => {
      const found = await store.load(id)
      return found !== undefined && !isEnded(found)
    },
  ],
  [
    'read',
    async (store, id) => {
      const found = await store.read(id, ['n'])
      return found !== undefined && !isEnded(found)
    },
  ],
  ['changed', async (store, id) => isApplied(await store.update(id, aChange(inc('n'))))],
  [
    'changed with an answer',
    async (store, id) =>
      isApplied(await store.update(id, aChange(inc('n')), { paths: ['n'], when: 'after' })),
  ],
  [
    'touched',
    async (store, id) => isApplied(await store.update(id, { ...aChange(), expires: inAnHour(), maxAge: 5 })),
  ],
  [
    'extended',
    async (store, id) =>
      isApplied(
        await store.update(id, { ...aChange(inc('n')), expires: inAnHour(), whileMaxAge: 3_600_000 }),
      ),
  ],
  ['ended', (store, id) => store.end(id, { ended: new Date() }, inAnHour())],
]

function isApplied(outcome: unknown): boolean {
  assert.notEqual(outcome, 'refused')
  return typeof outcome === 'object'
}

/** What a store promises in which somebody may have altered what it keeps. */
export function alterations(open: (t: TestContext) => Promise<AlterableStore>): void {
  for (const part of parts) {
    test(`whatever stands in the place of ${part}, all calls agree on whether there is a session`, async t => {
      const { store, alter } = await open(t)
      for (const [what, value] of odd) {
        const answers = new Map<string, boolean>()
        for (const [question, isThere] of questions) {
          const { id } = await aSession(store, { n: 1 })
          await alter(id, part, value)
          answers.set(question, await isThere(store, id))
        }
        const told = JSON.stringify([...answers])
        assert.equal(new Set(answers.values()).size, 1, `${what}: ${told}`)
        // Only its end decides, beside its mark.
        if (part !== 'expires') assert.ok(answers.get('loaded'), what)
      }
    })

    test(`whatever stands in the place of ${part}, what is acknowledged is kept`, async t => {
      const { store, alter } = await open(t)
      for (const [what, value] of odd) {
        const { id } = await aSession(store, { n: 1, user: 'ada' })
        await alter(id, part, value)
        const before = await store.load(id)
        if (!before || isEnded(before)) continue
        const n = Number(before.fields.n ?? 0)
        const answer = { paths: ['n'], when: 'after' } as const
        const { fields } = Object(await store.update(id, aChange(inc('n')), answer))
        assert.deepEqual(fields, { n: n + 1 }, what)
        assert.ok(isApplied(await store.update(id, aChange(inc('n'), inc('0')))), what)
        const read = await store.read(id, ['n', '0'])
        assert.deepEqual(Object(read).fields, { n: n + 2, 0: 1 }, what)
        const after = await store.load(id)
        assert.ok(after && !isEnded(after), what)
        assert.deepEqual(after.fields, { ...before.fields, n: n + 2, 0: 1 }, what)
        // As who renews a session does: at the revision that was loaded, or at the next.
        const end = (rev: number) => store.end(id, { ended: new Date() }, inAnHour(), rev)
        const again = async () => {
          const found = await store.load(id)
          return found !== undefined && !isEnded(found) && (await end(found.rev))
        }
        assert.ok((await end(after.rev)) || (await again()), what)
      }
    })
  }

  test('a lifetime that somebody has altered is learnt, and is no longer than the session had', async t => {
    const { store, alter } = await open(t)
    for (const [what, value] of odd) {
      const { id, expires } = await aSession(store, { n: 1 })
      await alter(id, 'maxAge', value)
      const found = await store.load(id)
      assert.ok(found && !isEnded(found), what)
      assert.ok(found.maxAge > 0 && Number.isInteger(found.maxAge), `${what}: ${found.maxAge}`)
      if (typeof value !== 'number') assert.ok(Date.now() + found.maxAge <= expires.getTime() + 1000, what)
    }
  })

  test('the sessions of a user are found though somebody has altered them, and so are the others', async t => {
    const { store, alter } = await open(t)
    if (!store.find) return t.skip('this store does not find sessions by their fields')
    await store.ensureIndex?.('user')
    const found = async () => {
      const ids: SessionId[] = []
      for await (const { id } of store.find?.('user', 'ada') ?? []) ids.push(id)
      return ids.sort()
    }
    const expected = [(await aSession(store, { user: 'ada' })).id]
    for (const part of parts) {
      for (const [, value] of odd) {
        const { id } = await aSession(store, { user: 'ada' })
        await alter(id, part, value)
        const loaded = await store.load(id)
        if (loaded && !isEnded(loaded) && loaded.fields.user === 'ada') expected.push(id)
      }
    }
    assert.deepEqual(await found(), expected.sort())
    for (const id of expected) await store.delete(id)
    assert.deepEqual(await found(), [])
  })

  test('what has another mark is nobody’s session, and is left as it is', async t => {
    const { store, alter, seen } = await open(t)
    for (const [what, value] of [...odd, ['an older mark', 1], ['a later one', 3]] as typeof odd) {
      // Of whatever type, a two is a two.
      if (Number(value) === 2 && typeof value === 'object') continue
      const { id } = await aSession(store, { n: 1, user: 'ada' })
      await alter(id, 'v', value)
      const before = await seen(id)
      assert.equal(await store.load(id), undefined, what)
      for (const paths of [['n'], ['n.a', 'user'], []]) assert.equal(await store.read(id, paths), undefined)
      const touch = { ...aChange(inc('n')), expires: inAnHour(), maxAge: 5 }
      assert.equal(await store.update(id, aChange(inc('n'))), 'absent', what)
      assert.equal(await store.update(id, touch, { paths: ['n'], when: 'after' }), 'absent', what)
      assert.equal(await store.end(id, { ended: new Date() }, inAnHour()), false, what)
      assert.equal(await store.end(id, { ended: new Date() }, inAnHour(), 1), false, what)
      for await (const one of store.find?.('user', 'ada') ?? []) assert.fail(`${what}: found ${one.id}`)
      assert.deepEqual(await seen(id), before, what)
      await assert.rejects(store.insert(aRecord({}, { id })), { name: 'IdTakenError' })
      await store.delete(id)
      assert.equal(await store.load(id), undefined)
    }
  })
}
