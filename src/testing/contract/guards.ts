import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import type { Guard } from '../../language/change.ts'
import type { BSON } from '../../stores/bson.ts'
import type { Test } from './case.ts'
import { decisionsOf } from './decisions.ts'
import {
  aChange,
  anEndedSession,
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

const isRich: Guard = { path: 'credits', comparator: '>=', arg: 5 }
const isOpen: Guard = { path: 'open', comparator: '=', arg: true }

export function guards(test: Test, bson: BSON): void {
  test('a change for one revision is applied at that one and refused at any other', async store => {
    const { id } = await aSession(store, { n: 1 })
    const at = (rev: number) => ({ ...aChange(inc('n')), expires: inAnHour(), maxAge: 5, rev })
    const answer = { paths: ['n'], when: 'after' } as const
    assert.equal(await store.update(id, at(2)), 'refused')
    assert.equal(await store.update(id, at(0), answer), 'refused')
    assert.deepEqual(await store.update(id, at(1)), {})
    assert.equal(await store.update(id, at(1)), 'refused')
    assert.deepEqual(await store.update(id, at(2), answer), { rev: 3, fields: { n: 3 } })
    const { rev, fields } = await recordOf(store, id)
    assert.deepEqual([rev, fields], [3, { n: 3 }])
    await store.end(id, { ended: new Date() }, inAnHour())
    assert.equal(await store.update(id, at(3)), 'ended')
  })

  test('of many changes for one revision at once, one is applied', async store => {
    const { id } = await aSession(store, { n: 1 })
    const outcomes = await together(100, () => store.update(id, { ...aChange(inc('n')), rev: 1 }))
    assert.equal(outcomes.filter(outcome => outcome === 'refused').length, 99)
    assert.deepEqual(await fieldsOf(store, id), { n: 2 })
  })

  const { fields, decisions } = decisionsOf(bson)
  for (const [path, comparator, arg, isMet] of decisions) {
    test(`a change is applied exactly if its guard holds: ${path} ${comparator} ${inspect(arg)}`, async store => {
      const record = await aSession(store, fields)
      const outcome = await store.update(record.id, guarded({ path, comparator, arg }, set('done', true)))
      assert.deepEqual(outcome, isMet ? {} : 'refused')
      const after = isMet ? { ...record, rev: 2, fields: { ...fields, done: true } } : record
      assert.deepEqual(await store.load(record.id), after)
    })
  }

  test('all guards of a change must hold', async store => {
    const change = guarded([isRich, isOpen], inc('credits', -5))
    for (const [credits, isStillOpen, left] of [
      [5, true, 0],
      [4, true, 4],
      [5, false, 5],
      [4, false, 4],
    ]) {
      const { id } = await aSession(store, { credits, open: isStillOpen })
      await store.update(id, change)
      assert.deepEqual(await fieldsOf(store, id), { credits: left, open: isStillOpen })
    }
  })

  test('every guard of a change counts, however many it has', async store => {
    const names = Array.from({ length: 60 }, (_, index) => `n${index}`)
    const record = await aSession(store, Object.fromEntries(names.map(name => [name, 1])))
    const all = names.map(path => ({ path, comparator: '=', arg: 1 }) as const)
    const unmet = { path: 'n59', comparator: '=', arg: 2 } as const
    assert.equal(
      await store.update(record.id, guarded([...all.slice(0, -1), unmet], set('n0', 2))),
      'refused',
    )
    assert.deepEqual(await store.load(record.id), record)
    assert.deepEqual(await store.update(record.id, guarded(all, set('n0', 2))), {})
  })

  test('a change for one revision is refused there too if its guard does not hold', async store => {
    const record = await aSession(store, { credits: 4 })
    const change = { ...guarded(isRich, inc('credits', -5)), rev: 1 }
    assert.equal(await store.update(record.id, change), 'refused')
    assert.equal(await store.update(record.id, change, { paths: ['credits'], when: 'after' }), 'refused')
    assert.deepEqual(await store.load(record.id), record)
    const met = { ...guarded({ ...isRich, arg: 4 }, inc('credits', -4)), rev: 1 }
    assert.deepEqual(await store.update(record.id, met), {})
    assert.deepEqual(await fieldsOf(store, record.id), { credits: 0 })
  })

  test('a change whose guard does not hold moves neither the revision nor the end of the session', async store => {
    const record = await aSession(store, { credits: 4 })
    const change = { ...guarded(isRich, inc('credits', -5)), expires: inAnHour(), maxAge: 5 }
    assert.equal(await store.update(record.id, change), 'refused')
    assert.deepEqual(await store.load(record.id), record)
  })

  test('a guard that does not hold keeps the store from finding fault with the change', async store => {
    const record = await aSession(store, { credits: 4, text: 'tea', list: [] })
    assert.equal(await store.update(record.id, guarded(isRich, inc('text'))), 'refused')
    assert.equal(await store.update(record.id, guarded(isRich, set('list.3', 1))), 'refused')
    assert.deepEqual(await store.load(record.id), record)
  })

  test('a guard says nothing of a session that does not exist or has ended', async store => {
    const change = guarded({ path: 'credits', comparator: 'exists', arg: false }, set('a', 1))
    assert.equal(await store.update(aRecord().id, change), 'absent')
    assert.equal(await store.update(aRecord().id, guarded(isRich, set('a', 1))), 'absent')
    const { id } = await anEndedSession(store, { credits: 9 })
    assert.equal(await store.update(id, change), 'ended')
    assert.equal(await store.update(id, guarded(isRich, set('a', 1))), 'ended')
  })
}
