import assert from 'node:assert/strict'
import type { SessionId } from '../../ids.ts'
import type { Store } from '../../store/store.ts'
import type { Test } from './case.ts'
import {
  aChange,
  anExtendedSession,
  aSecondAgo,
  aSession,
  inAnHour,
  inc,
  recordOf,
  set,
  soon,
  together,
} from './records.ts'

/** Ways to ask whether a session is there, over and over. */
const questions: [what: string, isThere: (store: Store, id: SessionId) => Promise<boolean>][] = [
  ['loaded', async (store, id) => (await store.load(id)) !== undefined],
  ['read', async (store, id) => (await store.read(id, ['a'])) !== undefined],
  ['changed', async (store, id) => (await store.update(id, aChange(set('a', 1)))) !== 'absent'],
  [
    'changed with an answer',
    async (store, id) =>
      (await store.update(id, aChange(set('a', 1)), { paths: ['a'], when: 'after' })) !== 'absent',
  ],
]

/** Whether the session was there, which must be so before its limit and cannot be so from its limit on. */
async function asked(limit: Date, isThere: () => Promise<boolean>): Promise<boolean> {
  const before = Date.now()
  const was = await isThere()
  const after = Date.now()
  if (was) assert.ok(before < limit.getTime(), `it is there ${before - limit.getTime()} ms after its end`)
  else assert.ok(after >= limit.getTime(), `it is gone ${limit.getTime() - after} ms before its end`)
  return was
}

export function expiry(test: Test): void {
  test('a session whose time has come does not exist', async store => {
    for (const past of [new Date(), aSecondAgo(), new Date(0)]) {
      const { id } = await aSession(store, { a: 1 }, { expires: past })
      assert.equal(await store.load(id), undefined)
      assert.equal(await store.read(id, ['a']), undefined)
      assert.equal(await store.update(id, aChange(set('a', 2))), 'absent')
      const answer = { paths: ['a'], when: 'after' } as const
      assert.equal(await store.update(id, aChange(set('a', 2)), answer), 'absent')
      assert.equal(await store.end(id, { ended: new Date() }, inAnHour()), false)
      assert.equal(await store.end(id, { ended: new Date() }, inAnHour(), 1), false)
      assert.equal(await store.load(id), undefined)
    }
  })

  test('an expired session is not brought back by touching it', async store => {
    const { id } = await aSession(store, { a: 1 }, { expires: aSecondAgo() })
    const touch = { ...aChange(set('a', 2)), expires: inAnHour(), maxAge: 3_600_000 }
    assert.equal(await store.update(id, touch), 'absent')
    assert.equal(await store.update(id, touch, { paths: [], when: 'after' }), 'absent')
    assert.equal(await store.load(id), undefined)
  })

  for (const [what, isThere] of questions) {
    test(`a session lives until the very millisecond of its end: ${what}`, async store => {
      // On a busy machine that very millisecond may go by without a question.
      for (let tries = 1, isDecided = false; tries <= 2 || (!isDecided && tries <= 20); tries++) {
        const end = soon()
        const { id } = await aSession(store, {}, { expires: end })
        while (await asked(end, () => isThere(store, id))) {}
        isDecided ||= Date.now() === end.getTime()
        assert.equal(await isThere(store, id), false)
      }
    })
  }

  test('a session lives until the very millisecond of its end: ended', async store => {
    const start = Date.now()
    const sessions = await together(40, index =>
      aSession(store, {}, { expires: new Date(start + 2 * index) }),
    )
    for (const { id, expires } of sessions) {
      await asked(expires, () => store.end(id, { ended: new Date() }, inAnHour()))
    }
  })

  test('an absolute limit is kept as it was given, and never asked', async store => {
    for (const absolute of [new Date(0), aSecondAgo(), inAnHour()]) {
      const record = await aSession(store, { n: 1 }, { absolute })
      assert.deepEqual(await store.load(record.id), record)
      assert.deepEqual(await store.read(record.id, ['n']), { rev: 1, fields: { n: 1 } })
      const expires = new Date(record.expires.getTime() + 1)
      assert.deepEqual(await store.update(record.id, { ...aChange(inc('n')), expires }), {})
      assert.deepEqual(await store.load(record.id), { ...record, expires, rev: 2, fields: { n: 2 } })
      assert.equal(await store.end(record.id, { ended: new Date() }, inAnHour(), 2), true)
    }
  })

  test('an absolute limit stays whatever a change does to the lifetime', async store => {
    const record = await aSession(store, { n: 1 }, { absolute: new Date(Date.now() + 7_200_000) })
    const expires = new Date(record.expires.getTime() + 1)
    const change = aChange(inc('n'))
    const changes = [{ maxAge: 5 }, { maxAge: 6, expires }, { expires, whileMaxAge: 6 }]
    for (const life of changes) await store.update(record.id, { ...change, ...life })
    await store.update(record.id, { ...change, maxAge: 7 }, { paths: ['n'], when: 'after' })
    assert.deepEqual(await store.load(record.id), { ...record, expires, maxAge: 7, rev: 5, fields: { n: 5 } })
  })

  test('a session whose end is moved into the past is over', async store => {
    const { id } = await aSession(store, { a: 1 })
    assert.deepEqual(await store.update(id, { ...aChange(), expires: aSecondAgo(), maxAge: 1000 }), {})
    assert.equal(await store.load(id), undefined)
    assert.equal(await store.update(id, { ...aChange(), expires: inAnHour() }), 'absent')
  })

  test('extending a session does not shorten the life that another request has given it', async store => {
    const later = new Date(Date.now() + 7_200_000)
    const { id } = await aSession(store, { n: 1 }, { expires: later })
    await store.update(id, { ...aChange(inc('n')), expires: inAnHour() })
    await store.update(id, { ...aChange(inc('n')), expires: aSecondAgo() }, { paths: ['n'], when: 'after' })
    const { expires, fields } = await recordOf(store, id)
    assert.deepEqual([expires, fields], [later, { n: 3 }])
  })

  test('extending leaves a session alone whose lifetime is another by now', async store => {
    const { id, expires } = await aSession(store, { n: 1 }, { maxAge: 5000 })
    const later = new Date(Date.now() + 7_200_000)
    const blind = await store.update(id, { ...aChange(inc('n')), expires: later, whileMaxAge: 7_200_000 })
    assert.deepEqual(blind, { maxAge: 5000 })
    const answer = { paths: ['n'], when: 'after' } as const
    const applied = await store.update(
      id,
      { ...aChange(inc('n')), expires: later, whileMaxAge: 7_200_000 },
      answer,
    )
    assert.deepEqual(applied, { rev: 3, fields: { n: 3 }, maxAge: 5000 })
    assert.deepEqual((await recordOf(store, id)).expires, expires)
    assert.deepEqual(await store.update(id, { ...aChange(inc('n')), expires: later, whileMaxAge: 5000 }), {})
    const found = await recordOf(store, id)
    assert.deepEqual([found.expires, found.maxAge, found.fields], [later, 5000, { n: 4 }])
  })

  test('extending a session works as well where the change is answered', async store => {
    const record = await aSession(store, { n: 1 }, { maxAge: 5000 })
    const change = { ...aChange(inc('n')), whileMaxAge: 5000 }
    for (const [index, when] of (['after', 'before'] as const).entries()) {
      const expires = new Date(record.expires.getTime() + index + 1)
      const outcome = await store.update(record.id, { ...change, expires }, { paths: ['n'], when })
      assert.deepEqual(outcome, { rev: 2 + index, fields: { n: when === 'after' ? 2 + index : 1 + index } })
      assert.deepEqual((await recordOf(store, record.id)).expires, expires)
    }
  })

  test('of many changes at once each is told whether it has extended its session', async store => {
    const later = new Date(Date.now() + 7_200_000)
    const sessions = await together(100, index =>
      aSession(store, { n: 0 }, { maxAge: index % 2 ? 5000 : 6000 }),
    )
    const outcomes = await together(100, index =>
      store.update(sessions[index]?.id ?? '', { ...aChange(inc('n')), expires: later, whileMaxAge: 5000 }),
    )
    for (const [index, { id, expires }] of sessions.entries()) {
      assert.deepEqual(outcomes[index], index % 2 ? {} : { maxAge: 6000 })
      const found = await recordOf(store, id)
      assert.deepEqual([found.expires, found.fields], [index % 2 ? later : expires, { n: 1 }])
    }
  })

  test('no extension that goes by an older lifetime undoes a newer one, and each says so', async store => {
    const { id } = await aSession(store, { n: 0 }, { maxAge: 5000 })
    const later = new Date(Date.now() + 7_200_000)
    const expires = inAnHour()
    const outcomes = await together(100, index =>
      index === 50
        ? store.update(id, { ...aChange(inc('n')), expires, maxAge: 6000 })
        : store.update(id, { ...aChange(inc('n')), expires: later, whileMaxAge: 5000 }),
    )
    const told = new Set(outcomes.map(outcome => JSON.stringify(outcome)))
    for (const one of told) assert.match(one, /^{("maxAge":6000)?}$/)
    const found = await recordOf(store, id)
    assert.deepEqual([found.expires, found.maxAge, found.fields], [expires, 6000, { n: 100 }])
    // Whoever comes afterwards comes too late for sure.
    const late = { ...aChange(), expires: later, whileMaxAge: 5000 }
    assert.deepEqual(await store.update(id, late), { maxAge: 6000 })
  })

  test('a lifetime of its own may shorten the life of a session', async store => {
    const { id } = await aSession(store, {}, { expires: new Date(Date.now() + 7_200_000) })
    const expires = inAnHour()
    await store.update(id, { ...aChange(), expires, maxAge: 3_600_000 })
    assert.deepEqual((await recordOf(store, id)).expires, expires)
  })

  test('a session lives on where its end is moved before it has come', async store => {
    const { end, record, outcome } = await anExtendedSession(store)
    assert.deepEqual(outcome, {})
    do assert.deepEqual(await store.load(record.id), record)
    while (Date.now() < end.getTime() + 5)
  })

  test('the end of a session may be decades away', async store => {
    const expires = new Date('2099-12-31T23:59:59.999Z')
    const { id } = await aSession(store, {}, { expires, absolute: expires, maxAge: 2 ** 41 })
    const found = await recordOf(store, id)
    assert.deepEqual([found.expires, found.absolute, found.maxAge], [expires, expires, 2 ** 41])
  })
}
