import type { Driver, Parameter, Row } from './driver.ts'

/** The members of the client of the package postgres, version 3, that the store uses. */
export interface PostgresSql {
  readonly options: {
    readonly connect_timeout?: number | undefined
    readonly fetch_types?: boolean | undefined
    readonly prepare?: boolean | undefined
  }
  readonly begin: unknown
  readonly reserve: unknown
  unsafe(
    sql: string,
    parameters?: (string | null | Uint8Array)[],
    options?: { prepare: boolean },
  ): PostgresQuery
}

interface PostgresQuery extends PromiseLike<unknown> {
  /** Values as bytes, whatever parsers and transforms the app has set. */
  raw(): PromiseLike<unknown>
}

/** The `sql` of a transaction, and that of a reserved connection, begin no other one. */
export function isSql(pool: unknown): pool is PostgresSql {
  return typeof pool === 'function' && 'unsafe' in pool && 'begin' in pool && 'reserve' in pool
}

/** Codes of the client's own errors that come before a statement was sent. */
const unsent = new Set<unknown>([
  ...['CONNECT_TIMEOUT', 'CONNECTION_ENDED', 'AUTH_TYPE_NOT_IMPLEMENTED', 'SASL_SIGNATURE_MISMATCH'],
  ...['MAX_PARAMETERS_EXCEEDED', 'UNDEFINED_VALUE'],
])

export class SqlOfPostgres implements Driver {
  readonly #sql: PostgresSql

  constructor(sql: PostgresSql) {
    this.#sql = sql
  }

  async query(
    sql: string,
    parameters: readonly Parameter[],
    name: string | undefined,
  ): Promise<readonly Row[]> {
    const rows = await this.#sql.unsafe(sql, [...parameters], { prepare: name !== undefined }).raw()
    return rowsIn(rows).map(row => row.map(textOf))
  }

  async script(sql: string): Promise<void> {
    await this.#sql.unsafe(sql)
  }

  /**
   * Not through a pooler, which has told of another process than the one that answers: where it does not know a statement, the
   * client sends nothing any more, and never says so.
   */
  async canPrepare(): Promise<boolean> {
    const rows = await this.#sql.unsafe('SELECT pg_backend_pid()').raw()
    const [[pid = null] = []] = rowsIn(rows)
    const { state } = rows as { state?: { pid?: number } }
    return state?.pid === undefined || state.pid === Number(textOf(pid))
  }

  wasSent(error: unknown): boolean {
    return !isUnsent(error)
  }

  useTimeout(): void {}

  /** Nobody can catch that rejection: https://github.com/porsager/postgres/issues/1192 */
  warn(): void {
    if (this.#sql.options.fetch_types === false) return
    process.emitWarning(
      'The package postgres asks for types on each new connection, and ends the process if that connection is lost meanwhile, as when ' +
        "PostgreSQL restarts. Sessions need no types: give them a client of their own, postgres('postgres://…', { fetch_types: false })",
      'SessionWarning',
    )
  }
}

function isUnsent(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  // Of an AggregateError: the host has several addresses, and none could be connected to.
  if ('errors' in error && Array.isArray(error.errors)) return error.errors.every(isUnsent)
  // The system's codes do not tell: EHOSTUNREACH may also end a connection on which a statement was sent.
  if ('syscall' in error) return error.syscall === 'connect' || error.syscall === 'getaddrinfo'
  return 'code' in error && unsent.has(error.code)
}

type Raw = (Uint8Array | null)[]

/**
 * Without holes: after a statement that has failed once some of its rows had come, be it one of the app, the client leaves as many
 * before the rows of the next one on that connection.
 */
function rowsIn(result: unknown): Raw[] {
  return (result as (Raw | undefined)[]).filter(row => row !== undefined)
}

function textOf(bytes: Uint8Array | null): string | null {
  return bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()
}
