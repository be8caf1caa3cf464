import { describe } from 'node:test'
import type { SessionId } from '../../../src/ids.ts'
import { damage } from '../../contract/damage.ts'
import {
  aPgPool,
  aPostgresSql,
  aStore,
  aTable,
  query,
  withoutPostgreSQL,
} from '../../support/postgres/database.ts'

/** What is put in the place of columns. */
const rows = [
  ...['created', 'expires', 'absolute', 'ended'].flatMap(name => [
    `${name} = 'infinity'`,
    `${name} = '280000-01-01'`,
  ]),
  ...['created', 'absolute', 'ended'].map(name => `${name} = '-infinity'`),
  ...['max_age', 'rev', 'size'].map(name => `${name} = 9223372036854775807`),
  ...['max_age', 'rev'].map(name => `${name} = -1`),
  ...['small', 'large'].flatMap(name => ['null', '[1]', '"text"', '7'].map(json => `${name} = '${json}'`)),
]

/** What is put in the place of a field in its session's row. */
const cells = [
  '["admin"]',
  '{}',
  '{"theme": "dark"}',
  '{"j": "{"}',
  '{"j": 7}',
  '{"b": ""}',
  '{"b": "zzzz"}',
  '{"b": 7}',
  '{"b": "BAwAAAAQ"}',
  '{"l": "zz"}',
  '{"l": 7}',
  '{"d": "text"}',
]

/** What is put in the place of a field in a row of its own: text that is neither UTF-8 nor JSON, and BSON that is none. */
const large = ['', '7bff', '7b', '04', '040c00000010', '1f']

for (const [driver, poolOf] of Object.entries({ pg: aPgPool, postgres: aPostgresSql })) {
  describe(`a damaged record makes one visitor anonymous and harms nobody else: ${driver}`, {
    skip: withoutPostgreSQL,
  }, () => {
    damage(async t => {
      const table = aTable()
      const store = await aStore(t, { table, pool: await poolOf(t) })
      const updated = (set: string) => (id: SessionId) =>
        query(`UPDATE public.${table} SET ${set} WHERE id = '${id}'`)
      return {
        store,
        ofSession: Object.fromEntries(rows.map(set => [set, updated(set)])),
        ofNote: {
          ...Object.fromEntries(
            cells.map(json => [json, updated(`small = small || '{"note": ${json}}'::jsonb`)]),
          ),
          ...Object.fromEntries(
            large.map(hex => [
              `large, ${hex}`,
              async (id: SessionId) => {
                await updated(`small = small - 'note', large = '{"note": 2000}'`)(id)
                await query(`INSERT INTO public.${table}_fields VALUES ('${id}', 'note', '\\x${hex}')`)
              },
            ]),
          ),
        },
      }
    })
  })
}
