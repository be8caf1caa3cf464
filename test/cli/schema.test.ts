import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { query, withoutPostgreSQL } from '../support/postgres/database.ts'
import { given } from './terminal.ts'

interface Column {
  readonly table_name: string
  readonly column_name: string
  readonly is_nullable: 'YES' | 'NO'
  readonly data_type: string
}

/** As each tool names PostgreSQL's types. */
const types: Readonly<Record<string, readonly [drizzle: string, prisma: string]>> = {
  text: ['text', 'String'],
  bigint: ['bigint', 'BigInt'],
  integer: ['integer', 'Int'],
  boolean: ['boolean', 'Boolean'],
  jsonb: ['jsonb', 'Json'],
  bytea: ['bytea', 'Bytes'],
  'timestamp with time zone': ['timestamp', 'DateTime'],
}

/** The lines of a schema between two texts. */
function part(text: string, from: string, to: string): string {
  const start = text.indexOf(from)
  assert.ok(start >= 0, from)
  return text.slice(start, text.indexOf(to, start))
}

suite('the tables that the SQL makes', { skip: withoutPostgreSQL }, () => {
  const args = ['--schema', 'depot', '--table', 'shop_sessions', '--field', 'user_id']

  async function columns(): Promise<Column[]> {
    const { printed } = await given(['schema', 'sql', ...args])
    await query(printed)
    const rows = await query(
      "SELECT table_name, column_name, is_nullable, data_type FROM information_schema.columns WHERE table_schema = 'depot'",
    )
    assert.equal(rows.length, 19)
    return rows as unknown as Column[]
  }

  test('are those that Drizzle is told of', async () => {
    const { printed } = await given(['schema', 'drizzle', ...args])
    assert.match(printed, /pgSchema\('depot'\)/)
    for (const { table_name, column_name, is_nullable, data_type } of await columns()) {
      const table = part(printed, `'${table_name}'`, '\n)')
      const line = new RegExp(`^.*: (\\w+)\\('${column_name}'.*$`, 'm').exec(table)
      assert.equal(line?.[1], types[data_type]?.[0], column_name)
      assert.equal(/notNull|primaryKey/.test(line?.[0] ?? ''), is_nullable === 'NO', column_name)
    }
    assert.match(printed, /index\('shop_sessions_user'\)/)
  })

  test('are those that Prisma is told of', async () => {
    const { printed } = await given(['schema', 'prisma', ...args])
    assert.equal(printed.match(/@@schema\("depot"\)/g)?.length, 3)
    const models = printed.split(/^model /m).slice(1)
    for (const { table_name, column_name, is_nullable, data_type } of await columns()) {
      const model = models.find(text => text.includes(`@@map("${table_name}")`)) ?? ''
      const named = model
        .split('\n')
        .find(line => line.includes(`@map("${column_name}")`) || line.trim().startsWith(`${column_name} `))
      const [, type, optional] = /^ +\w+ +(\w+)(\?)?/.exec(named ?? '') ?? []
      assert.equal(type, types[data_type]?.[1], column_name)
      assert.equal(optional === '?', is_nullable === 'YES', column_name)
    }
    assert.match(printed, /@@index\(\[userKey\], map: "shop_sessions_user"\)/)
  })
})

test('a name that PostgreSQL would not take is refused', async () => {
  const { code, told } = await given(['schema', '--table', 'a'.repeat(60)])
  assert.match(told, /too long/)
  assert.equal(code, 2)
})
