import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { IdTakenError } from '../../errors.ts'
import type { SessionRecord } from '../../store/record.ts'
import type { Outcome, Store } from '../../store/store.ts'
import type { Test } from './case.ts'
import {
  aChange,
  aRecord,
  aSession,
  fieldsOf,
  guarded,
  inAnHour,
  inc,
  isCommandErrorAt,
  push,
  recordOf,
  set,
  together,
  unset,
} from './records.ts'

const MANY = 300

function isApplied(outcome: Outcome): boolean {
  return typeof outcome === 'object'
}

export function concurrency(test: Test): void {
  test('of hundreds of changes at once none is lost', async store => {
    const { id } = await aSession(store, { n: 0, cart: [] })
    const outcomes = await together(MANY, index =>
      store.update(id, aChange(inc('n', index), push('cart', index), set(`seen.k${index}`, true))),
    )
    assert.ok(outcomes.every(isApplied))
    const { rev, fields } = await recordOf(store, id)
    assert.equal(rev, 1 + MANY)
    assert.equal(fields.n, (MANY * (MANY - 1)) / 2)
    assert.deepEqual(
      (fields.cart as number[]).toSorted((a, b) => a - b),
      Array.from({ length: MANY }, (_, index) => index),
    )
    assert.equal(Object.keys(fields.seen as object).length, MANY)
  })

  test('of hundreds of changes at once each is answered with its own result and revision', async store => {
    const { id } = await aSession(store, { n: 0 })
    const outcomes = await together(MANY, index => {
      const when = index % 2 === 0 ? 'after' : 'before'
      return store.update(id, aChange(inc('n')), { paths: ['n'], when })
    })
    const tickets = outcomes.map((outcome, index) => {
      assert.ok(typeof outcome === 'object' && outcome.rev !== undefined)
      assert.equal(outcome.fields?.n, index % 2 === 0 ? outcome.rev - 1 : outcome.rev - 2)
      return outcome.rev
    })
    assert.equal(new Set(tickets).size, MANY)
    assert.equal(Math.max(...tickets), MANY + 1)
  })

  test('of hundreds who would spend at once no one overdraws', async store => {
    const { id } = await aSession(store, { credits: 100 })
    const spend = guarded({ path: 'credits', comparator: '>=', arg: 1 }, inc('credits', -1), inc('spent'))
    const outcomes = await together(MANY, () => store.update(id, spend))
    assert.equal(outcomes.filter(isApplied).length, 100)
    assert.equal(outcomes.filter(outcome => outcome === 'refused').length, MANY - 100)
    assert.deepEqual(await fieldsOf(store, id), { credits: 0, spent: 100 })
  })

  test('of hundreds who take a field at once exactly one gets it', async store => {
    const { id } = await aSession(store, { nonce: 'x' })
    const outcomes = await together(MANY, () =>
      store.update(id, aChange(unset('nonce')), { paths: ['nonce'], when: 'before' }),
    )
    const got = outcomes.filter(outcome => typeof outcome === 'object' && outcome.fields?.nonce === 'x')
    assert.equal(got.length, 1)
  })

  test('of hundreds who take from a list at once each gets another element', async store => {
    const tickets = Array.from({ length: 100 }, (_, index) => index)
    const { id } = await aSession(store, { tickets })
    const outcomes = await together(MANY, () =>
      store.update(id, aChange({ op: '$pop', path: 'tickets', arg: -1 }), {
        paths: ['tickets'],
        when: 'before',
      }),
    )
    const taken = outcomes.flatMap(outcome => {
      assert.ok(typeof outcome === 'object' && outcome.fields)
      return (outcome.fields.tickets as number[]).slice(0, 1)
    })
    assert.deepEqual(
      taken.toSorted((a, b) => a - b),
      tickets,
    )
  })

  test('of hundreds who create a session at once exactly one does', async store => {
    const { id } = aRecord()
    const created = await together(MANY, async index => {
      const record = aRecord({ index }, { id })
      try {
        await store.insert(record)
        return [record]
      } catch (error) {
        assert.ok(error instanceof IdTakenError)
        return []
      }
    })
    const [winner, ...others] = created.flat()
    assert.deepEqual(others, [])
    assert.deepEqual(await store.load(id), winner)
  })

  test('of hundreds who end a session at once exactly one does', async store => {
    const { id } = await aSession(store)
    const ended = new Date()
    const was = await together(MANY, index => store.end(id, { ended, next: `by ${index}` }, inAnHour()))
    assert.equal(was.filter(Boolean).length, 1)
    assert.deepEqual(await store.load(id), { ended, next: `by ${was.indexOf(true)}` })
  })

  test('a session that is ended amid hundreds of changes stays ended', async store => {
    const { id } = await aSession(store, { n: 0 })
    let isEnded = false
    const tombstone = { ended: new Date() }
    const outcomes = await together(MANY, async index => {
      if (index === MANY / 2) {
        assert.equal(await store.end(id, tombstone, inAnHour()), true)
        isEnded = true
      }
      const isLate = isEnded
      const outcome = await store.update(id, { ...aChange(inc('n')), expires: inAnHour() })
      if (isLate) assert.equal(outcome, 'ended')
      return outcome
    })
    assert.ok(outcomes.every(outcome => outcome === 'ended' || isApplied(outcome)))
    assert.deepEqual(await store.load(id), tombstone)
    assert.equal(await store.update(id, aChange(inc('n'))), 'ended')
  })

  test('a session that is moved to another id amid hundreds of changes loses none', async store => {
    const { id } = await aSession(store, { n: 0 })
    const outcomes: Outcome[] = []
    const change = async () => {
      for (let count = 0; count < 15; count++) {
        outcomes.push(await store.update(id, aChange(inc('n'))))
        // Lets the others in: some stores would answer all of these changes before anything else happens.
        await setImmediate()
      }
    }
    const [next] = await Promise.all([moved(store, id), together(MANY / 15, change)])
    const kept = outcomes.filter(isApplied).length
    assert.deepEqual(next.fields, { n: kept })
    assert.equal(outcomes.filter(outcome => outcome === 'ended').length, MANY - kept)
  })

  test('a change that is refused amid hundreds of others takes nothing from them', async store => {
    const { id } = await aSession(store, { n: 0, text: 'tea' })
    await together(MANY, async index => {
      if (index % 3 > 0) return store.update(id, aChange(inc('n')))
      return assert.rejects(store.update(id, aChange(inc('n'), inc('text'))), isCommandErrorAt('text'))
    })
    assert.deepEqual(await fieldsOf(store, id), { n: (MANY / 3) * 2, text: 'tea' })
  })
}

/** Copies the session and ends the old one at the revision that was copied, until no change comes between. */
async function moved(store: Store, id: string): Promise<SessionRecord> {
  for (;;) {
    const old = await recordOf(store, id)
    const next = await aSession(store, old.fields)
    if (await store.end(id, { ended: new Date() }, inAnHour(), old.rev)) return recordOf(store, next.id)
  }
}
