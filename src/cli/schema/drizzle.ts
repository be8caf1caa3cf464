import type { SchemaOptions } from '../../stores/postgres/store.ts'
import { camel, literal } from './words.ts'

/** What Drizzle is told of the tables. */
export function drizzleSchema({ schema = 'public', table = 'sessions', user }: SchemaOptions): string {
  const name = camel(table)
  const [make, of] =
    schema === 'public'
      ? ['pgTable', '']
      : [
          `${camel(schema)}Schema.table`,
          `\n  export const ${camel(schema)}Schema = pgSchema(${literal(schema)})\n`,
        ]
  const byUser = user === undefined ? '' : `\n      index(${literal(`${table}_user`)}).on(table.userKey),`
  return `  // The tables of koa-atomic-session, so that Drizzle knows them and leaves them alone. Drizzle cannot say all that makes
  // them: in the migration that drizzle-kit generates, put the SQL of \`npx koa-atomic-session schema sql\` in place of their
  // CREATE statements.
  import { sql } from 'drizzle-orm'
  import {
    bigint,
    boolean,
    check,
    customType,
    foreignKey,
    index,
    integer,
    jsonb,
    ${of === '' ? 'pgTable' : 'pgSchema'},
    primaryKey,
    text,
    timestamp,
  } from 'drizzle-orm/pg-core'

  const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' })
  ${of}
  export const ${name} = ${make}(
    ${literal(table)},
    {
      id: text('id').primaryKey(),
      created: timestamp('created', { withTimezone: true }).notNull(),
      expires: timestamp('expires', { withTimezone: true }).notNull(),
      absolute: timestamp('absolute', { withTimezone: true }),
      maxAge: bigint('max_age', { mode: 'number' }).notNull(),
      rev: bigint('rev', { mode: 'number' }).notNull(),
      size: bigint('size', { mode: 'number' }).notNull(),
      ended: timestamp('ended', { withTimezone: true }),
      next: text('next'),
      userKey: text('user_key'),
      sweepAt: timestamp('sweep_at', { withTimezone: true }).notNull(),
      small: jsonb('small').notNull(),
      large: jsonb('large').notNull(),
    },
    table => [
      index(${literal(`${table}_sweep_at`)}).on(table.sweepAt),${byUser}
    ],
  )

  export const ${name}Fields = ${make}(
    ${literal(`${table}_fields`)},
    {
      id: text('id').notNull(),
      name: text('name').notNull(),
      v: bytea('v').notNull(),
    },
    table => [
      primaryKey({ name: ${literal(`${table}_fields_pkey`)}, columns: [table.id, table.name] }),
      foreignKey({
        name: ${literal(`${table}_fields_id_fkey`)},
        columns: [table.id],
        foreignColumns: [${name}.id],
      }).onDelete('cascade'),
    ],
  )

  export const ${name}Meta = ${make}(
    ${literal(`${table}_meta`)},
    {
      one: boolean('one').primaryKey().default(true),
      version: integer('version').notNull(),
      userPath: text('user_path'),
    },
    () => [check(${literal(`${table}_meta_one_check`)}, sql\`one\`)],
  )
`.replace(/^ {2}/gm, '')
}
