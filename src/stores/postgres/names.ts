import { hash } from 'node:crypto'
import { ConfigurationError } from '../../errors.ts'
import { quote } from '../../language/paths.ts'

export interface TableOptions {
  /** The schema of the tables. It is created if it does not exist. @default 'public' */
  readonly schema?: string
  /** The table of the sessions. The names of two more tables begin with it. @default 'sessions' */
  readonly table?: string
}

/** Quoted, as statements have them. */
export interface Names {
  readonly schema: string
  readonly sessions: string
  /** The large fields, a row each. */
  readonly fields: string
  readonly meta: string
  readonly sweepIndex: string
  readonly userIndex: string
  /** For messages. */
  readonly shown: string
  /** Of the advisory locks: one while tables are made, one while sessions are swept. */
  readonly locks: { readonly schema: string; readonly sweep: string }
}

/** PostgreSQL silently cuts off longer names. The longest name made from the table's has this suffix. */
const MAX_BYTES = 63 - '_sweep_at'.length

/** Incremented when the form of the tables changes. */
export const SCHEMA_VERSION = 1

export function namesOf({ schema = 'public', table = 'sessions' }: TableOptions): Names {
  for (const [option, name] of Object.entries({ schema, table })) {
    if (typeof name !== 'string' || name === '' || name.includes('\0')) {
      throw new ConfigurationError(`${option} is not a name: give one, such as 'sessions'`)
    }
    if (Buffer.byteLength(name) > MAX_BYTES) {
      throw new ConfigurationError(`${option} ${quote(name)} is too long: at most ${MAX_BYTES} bytes`)
    }
  }
  const within = (name: string) => `${identifier(schema)}.${identifier(name)}`
  return {
    schema: identifier(schema),
    sessions: within(table),
    fields: within(`${table}_fields`),
    meta: within(`${table}_meta`),
    sweepIndex: identifier(`${table}_sweep_at`),
    userIndex: identifier(`${table}_user`),
    shown: `${schema}.${table}`,
    locks: { schema: lockOf(`${schema}\0${table}\0schema`), sweep: lockOf(`${schema}\0${table}\0sweep`) },
  }
}

function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A literal, in whatever mode strings are read. */
export function literalText(text: string): string {
  const quoted = `'${text.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`
  return text.includes('\\') ? ` E${quoted}` : quoted
}

/** A number of 64 bits that no other library is likely to have. */
function lockOf(name: string): string {
  return String(hash('sha256', `koa-atomic-session\0${name}`, 'buffer').readBigInt64BE())
}
