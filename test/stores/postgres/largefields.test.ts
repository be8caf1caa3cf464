import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Binary, calculateObjectSize, ObjectId, serialize } from 'bson'
import { SessionTooLargeError } from '../../../src/errors.ts'
import type { Excerpt } from '../../../src/store/store.ts'
import { postgresStore } from '../../../src/stores/postgres/store.ts'
import { aChange, aSession, fieldsOf, inc, set } from '../../contract/records.ts'
import {
  aPgPool,
  aPostgresSql,
  aStore,
  aTable,
  explainedPool,
  watchedPool,
  withoutPostgreSQL,
} from '../../support/postgres/database.ts'

const skip = withoutPostgreSQL
const many = Array.from({ length: 500 }, (_, index) => index)

/** Each longer than what stays in the row of its session. */
const values: Readonly<Record<string, unknown>> = {
  letters: 'x'.repeat(2000),
  numerals: '7'.repeat(2000),
  'looks like Base64': `j${'x'.repeat(2000)}`,
  'other signs': '名😀é'.repeat(500),
  'signs that JSON escapes': '"\\\n\u001e\u0000'.repeat(500),
  'few of them': `"\\\n\u001e\u0000,:${'x'.repeat(2000)}`,
  list: many,
  'keys in their order': Object.fromEntries(many.map(n => [`k${499 - n}`, `"${n}"`])),
  doubles: many.map(n => n + 0.5),
  'what JSON lacks': many.map(n => (n % 2 ? -0 : Number.NaN)),
  dates: many.map(n => new Date(n)),
  ids: [new ObjectId('65a000000000000000000001'), 'x'.repeat(2000)],
  bytes: new Binary(Buffer.alloc(2000, 'j')),
}
const names = Object.keys(values)

function bytesOf(value: unknown): Buffer {
  return Buffer.from(serialize({ value }))
}

for (const [client, aClient] of Object.entries({ pg: aPgPool, postgres: aPostgresSql })) {
  test(`a large field is read as it was stored, whatever it holds (${client})`, { skip }, async t => {
    const store = await aStore(t, { pool: await aClient(t), table: aTable() })
    const { id } = await aSession(store, values)
    const changed = await aSession(store, { n: 1 })
    for (const [name, value] of Object.entries(values))
      await store.update(changed.id, aChange(set(name, value)))
    for (const one of [id, changed.id]) {
      const fields = await fieldsOf(store, one)
      const { fields: together } = (await store.read(one, names)) as Excerpt
      for (const name of names) {
        const { fields: alone } = (await store.read(one, [name])) as Excerpt
        for (const found of [fields, together, alone]) {
          assert.ok(bytesOf(found[name]).equals(bytesOf(values[name])), name)
        }
      }
    }
  })
}

test('a large field that JSON has can be read in the database', { skip }, async t => {
  const pool = await aPgPool(t)
  const table = aTable()
  const store = await aStore(t, { pool, table })
  await aSession(store, { note: `"名"${'x'.repeat(2000)}`, cart: { lines: many } })
  const { rows } = await pool.query(
    `SELECT name, convert_from(v, 'UTF8')::jsonb AS value FROM ${table}_fields ORDER BY name`,
  )
  assert.deepEqual(rows, [
    { name: 'cart', value: { lines: many } },
    { name: 'note', value: `"名"${'x'.repeat(2000)}` },
  ])
})

test('a session whose fields are overwritten again and again still takes one statement for most changes', {
  skip,
}, async t => {
  let sent = 0
  const pool = watchedPool(await aPgPool(t), () => sent++)
  const store = await aStore(t, { pool })
  const maxSize = 20_000
  const { id } = await aSession(store, { n: 0, text: 'x'.repeat(10_000) })
  const statements: number[] = []
  for (let round = 0; round < 60; round++) {
    sent = 0
    await store.update(id, { ...aChange(inc('n'), set('last', String(round).padStart(2000))), maxSize })
    statements.push(sent)
  }
  const costly = statements.flatMap((count, index) => (count > 1 ? [index] : []))
  assert.ok(costly.length > 0, 'the bound of the size was never too large')
  for (const index of costly.slice(0, -1)) assert.equal(statements[index + 1], 1, statements.join(' '))

  const fields = await fieldsOf(store, id)
  const room = maxSize - calculateObjectSize({ ...fields, rest: '' })
  const rest = (bytes: number) => ({ ...aChange(set('rest', 'x'.repeat(bytes))), maxSize })
  await assert.rejects(store.update(id, rest(room + 1)), SessionTooLargeError)
  assert.deepEqual(await fieldsOf(store, id), fields)
  await store.update(id, rest(room))
  assert.equal(calculateObjectSize(await fieldsOf(store, id)), maxSize)
})

test('loading large fields costs as much for each, however many there are', { skip }, async t => {
  const table = aTable()
  let blocks = 0
  const pool = explainedPool(await aPgPool(t), plan => {
    blocks += plan['Shared Hit Blocks'] + plan['Shared Read Blocks']
  })
  const filling = await aStore(t, { table })
  const store = postgresStore({ table, pool })
  t.after(() => store.close?.())
  const costFor = async (count: number) => {
    const fields = Array.from({ length: count }, (_, index) => [`field ${index}`, 'x'.repeat(1100)])
    const { id } = await aSession(filling, Object.fromEntries(fields))
    blocks = 0
    assert.equal(Object.keys(await fieldsOf(store, id)).length, count)
    return blocks / count
  }
  const [few, many] = [await costFor(500), await costFor(4000)]
  t.diagnostic(`${few} and ${many} blocks for each`)
  assert.ok(many < 2 * few, `${few} and ${many} blocks for each`)
})
