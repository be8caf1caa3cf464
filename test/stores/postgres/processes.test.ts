import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { together } from '../../contract/records.ts'
import { forked } from '../../support/forked.ts'
import { aStore, aTable, query, thePostgreSQL, withoutPostgreSQL } from '../../support/postgres/database.ts'

const program = fileURLToPath(new URL('../../support/postgres/incrementing.ts', import.meta.url))

const PROCESSES = 3
const REQUESTS = 200

/** What `/count` of all of these, asked at once with one cookie, leaves. */
async function counted(origins: readonly string[]): Promise<number> {
  const [first = ''] = origins
  const begun = await fetch(`${first}/count`)
  await begun.text()
  const cookie = begun.headers
    .getSetCookie()
    .map(line => line.split(';')[0])
    .join('; ')
  await together(REQUESTS, async index => {
    const answer = await fetch(`${origins[index % origins.length]}/count`, { headers: { cookie } })
    assert.equal(answer.status, 200)
    await answer.text()
  })
  const { n } = (await (await fetch(`${first}/`, { headers: { cookie } })).json()) as { n: number }
  return n - 1
}

test('200 overlapping requests of three processes count 200, where an ordinary store keeps few of them', {
  skip: withoutPostgreSQL,
}, async t => {
  const table = aTable()
  await aStore(t, { table })
  const simple = dirname(createRequire(import.meta.url).resolve('connect-pg-simple'))
  const schema = await readFile(join(simple, 'table.sql'), 'utf8')
  await query(
    schema
      .replaceAll(/"session"/g, `"${table}_ordinary"`)
      .replaceAll(/session_pkey|IDX_session_expire/g, name => `${name}_${table}`),
  )
  const { uri } = await thePostgreSQL()
  const processes = await together(PROCESSES, () => forked(t, program, [uri, table]))
  const origins = processes.map(told => told.split(' '))
  assert.equal(await counted(origins.map(([ours = '']) => ours)), REQUESTS)
  const kept = await counted(origins.map(([, ordinary = '']) => ordinary))
  t.diagnostic(`connect-pg-simple kept ${kept} of ${REQUESTS}`)
  assert.ok(kept < REQUESTS)
})
