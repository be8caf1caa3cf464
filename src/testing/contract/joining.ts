import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { CommandError } from '../../errors.ts'
import type { Outcome, Store } from '../../store/store.ts'
import type { Test } from './case.ts'
import {
  aChange,
  anEndedSession,
  aRecord,
  aSecondAgo,
  aSession,
  fieldsOf,
  guarded,
  inc,
  push,
  set,
  together,
} from './records.ts'

/** More than go together in one call of any store. */
const MANY = 200

/** What calls of many requests at once come to is what each would come to alone, however a store joins them. */
export function joining(test: Test): void {
  test('of hundreds of changes at once each is made to its own session, once', async store => {
    const sessions = await together(MANY, index => aSession(store, { n: index }))
    const outcomes = await together(MANY, index =>
      store.update(sessions[index]?.id ?? '', aChange(inc('n', 1000), set('own', index))),
    )
    assert.deepEqual(
      outcomes,
      sessions.map(() => ({})),
    )
    const found = await together(MANY, index => fieldsOf(store, sessions[index]?.id ?? ''))
    assert.deepEqual(
      found,
      sessions.map((_, index) => ({ n: 1000 + index, own: index })),
    )
  })

  test('of hundreds of sessions loaded at once each is answered with its own, or that there is none', async store => {
    const wanted = await together(MANY, async index => {
      if (index % 5 === 0) return { id: aRecord().id, expected: undefined }
      if (index % 5 === 1) {
        const { id } = await aSession(store, { index }, { expires: aSecondAgo() })
        return { id, expected: undefined }
      }
      if (index % 5 === 2) {
        const { id, tombstone } = await anEndedSession(store)
        return { id, expected: tombstone }
      }
      const record = await aSession(store, { index })
      return { id: record.id, expected: record }
    })
    const found = await together(MANY, index => store.load(wanted[index]?.id ?? ''))
    assert.deepEqual(
      found,
      wanted.map(({ expected }) => expected),
    )
  })

  test('of hundreds of sessions read at once each is answered with its own fields, or that there is none', async store => {
    const lists = [['n'], ['n', 'text'], ['text']]
    const wanted = await together(MANY, async index => {
      const paths = lists[index % lists.length] ?? []
      if (index % 5 === 0) return { id: aRecord().id, paths, expected: undefined }
      if (index % 5 === 1) {
        const { id } = await aSession(store, { n: index }, { expires: aSecondAgo() })
        return { id, paths, expected: undefined }
      }
      if (index % 5 === 2) {
        const { id, tombstone } = await anEndedSession(store)
        return { id, paths, expected: tombstone }
      }
      const fields = { n: index, text: `text ${index}` }
      const { id } = await aSession(store, { ...fields, other: 1 })
      const all = Object.entries(fields).filter(([name]) => paths.includes(name))
      return { id, paths, expected: { rev: 1, fields: Object.fromEntries(all) } }
    })
    const found = await together(MANY, index =>
      store.read(wanted[index]?.id ?? '', wanted[index]?.paths ?? []),
    )
    assert.deepEqual(
      found,
      wanted.map(({ expected }) => expected),
    )
  })

  test('of hundreds of changes at once each is told its own outcome', async store => {
    const fates = ['applied', 'absent', 'expired', 'ended', 'refused', 'held', 'wrong', 'no element'] as const
    const ids = await together(MANY, async index => {
      const fate = fates[index % fates.length]
      if (fate === 'absent') return aRecord().id
      if (fate === 'ended') return (await anEndedSession(store)).id
      const rest = fate === 'expired' ? { expires: aSecondAgo() } : {}
      return (await aSession(store, { n: 1, text: 'tea', list: [1] }, rest)).id
    })
    const change = (fate: (typeof fates)[number] | undefined) => {
      if (fate === 'refused') return guarded({ path: 'n', comparator: '>', arg: 1 }, inc('n'))
      if (fate === 'held') return guarded({ path: 'n', comparator: '=', arg: 1 }, inc('n'))
      if (fate === 'wrong') return aChange(set('n', 2), inc('text'))
      if (fate === 'no element') return aChange(set('n', 2), set('list.7', 1))
      return aChange(inc('n'))
    }
    const outcomes = await together(MANY, index =>
      outcomeOf(store.update(ids[index] ?? '', change(fates[index % fates.length]))),
    )
    const expected = {
      applied: {},
      absent: 'absent',
      expired: 'absent',
      ended: 'ended',
      refused: 'refused',
      held: {},
      wrong: 'wrong at text',
      'no element': 'wrong at list.7',
    }
    assert.deepEqual(
      outcomes,
      ids.map((_, index) => expected[fates[index % fates.length] ?? 'applied']),
    )
    const living = ids.filter((_, index) => !/absent|expired|ended/.test(fates[index % fates.length] ?? ''))
    for (const id of living) {
      const applied = ['applied', 'held'].includes(fates[ids.indexOf(id) % fates.length] ?? '')
      assert.deepEqual(await fieldsOf(store, id), { n: applied ? 2 : 1, text: 'tea', list: [1] })
    }
  })

  test('what was acknowledged is seen by whoever asks afterwards, however many ask', async store => {
    const sessions = await together(20, () => aSession(store, { n: 0 }))
    await together(MANY, async index => {
      const { id } = sessions[index % sessions.length] as { id: string }
      for (let times = 0; times < 5; times++) {
        // Not in step with the others.
        for (let turns = index % 4; turns > 0; turns--) await setImmediate()
        const outcome = await store.update(id, aChange(inc('n')), { paths: ['n'], when: 'after' })
        const made = typeof outcome === 'object' ? Number(outcome.fields?.n) : Number.NaN
        assert.ok(Number((await fieldsOf(store, id)).n) >= made)
        await store.update(id, aChange(push(`by.k${index}`, times)))
        const by = (await fieldsOf(store, id)).by as Record<string, number[]>
        assert.deepEqual(by[`k${index}`]?.at(-1), times)
      }
    })
  })

  test('changes of one session are made in the order in which they are answered', async store => {
    const sessions = await together(20, () => aSession(store, { log: [] }))
    await together(sessions.length, async index => {
      const { id } = sessions[index] as { id: string }
      for (let times = 0; times < 10; times++) await store.update(id, aChange(push('log', times)))
      assert.deepEqual(await fieldsOf(store, id), { log: Array.from({ length: 10 }, (_, times) => times) })
    })
  })

  test('of hundreds who load one session at once each has a copy of its own', async store => {
    const record = await aSession(store, { list: [1], prefs: { lang: 'en' }, seen: new Date(1) })
    const found = await together(MANY, () => store.load(record.id))
    for (const one of found) {
      assert.deepEqual(one, record)
      assert.ok(one && 'fields' in one)
      const fields = one.fields as { list: number[]; prefs: { lang: string }; seen: Date }
      fields.list.push(2)
      fields.prefs.lang = 'fr'
      fields.seen.setTime(2)
    }
    assert.deepEqual(await store.load(record.id), record)
  })
}

async function outcomeOf(update: ReturnType<Store['update']>): Promise<Outcome | string> {
  try {
    return await update
  } catch (error) {
    assert.ok(error instanceof CommandError, `not a CommandError: ${String(error)}`)
    return `wrong at ${error.path}`
  }
}
