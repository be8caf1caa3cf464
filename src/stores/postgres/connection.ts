import { hash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { ConfigurationError, type StoreUnavailableError } from '../../errors.ts'
import { ownError } from '../../store/wrapping.ts'
import type { Driver, Parameter, Row } from './driver.ts'
import { failureOf, isLost, isRefusal, isUnknownStatement } from './errors.ts'
import { isPool, type PgPool, PoolOfPg } from './pg.ts'
import { isSql, type PostgresSql, SqlOfPostgres } from './postgres.ts'

/** How often a statement is sent, if it fails because of a concurrent transaction. */
const MAX_TRIES = 20

/** The longest pause between two of these attempts, in milliseconds. */
const MAX_PAUSE = 50

/** How many statement names are remembered. A store has far fewer statements, unless visitors determine the length of paths. */
const MAX_NAMES = 500

/**
 * Sends statements to the server, prepared if possible.
 *
 * The name of a prepared statement is made from its text: behind a pooler the next statement may use another connection, and there
 * the name must not belong to another text.
 */
export class Connection {
  readonly #driver: Driver
  readonly #names = new Map<string, string>()
  /** Not known before the first statement, unless the app says so. */
  #isPrepared: boolean | undefined
  #deciding: Promise<void> | undefined

  constructor(pool: unknown, prepare: boolean | undefined) {
    this.#driver = driverOf(pool)
    this.#isPrepared = prepare
  }

  /**
   * `effect`: the error's `outcome` if the statement was sent but not answered. `until`: when the caller's timeout ends, by
   * `performance.now()`.
   */
  async query(
    sql: string,
    parameters: readonly Parameter[],
    effect: StoreUnavailableError['outcome'],
    until?: number,
  ): Promise<readonly Row[]> {
    if (this.#isPrepared === undefined) await this.#decide()
    return this.#sent(effect, async () => {
      const name = this.#isPrepared ? this.#nameOf(sql) : undefined
      try {
        return await this.#driver.query(sql, parameters, name, until)
      } catch (error) {
        if (name === undefined || !isUnknownStatement(error)) throw error
        this.#stopPreparing()
        return this.#driver.query(sql, parameters, undefined, until)
      }
    })
  }

  script(sql: string): Promise<void> {
    return this.#sent('unknown', () => this.#driver.script(sql))
  }

  async #sent<T>(effect: StoreUnavailableError['outcome'], send: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await send()
      } catch (error) {
        if (!isLost(error) || tries === MAX_TRIES) throw this.#failureOf(error, effect)
        // A random pause, so that the same transactions do not conflict again.
        await delay(Math.random() * Math.min(2 ** tries, MAX_PAUSE))
      }
    }
  }

  useTimeout(ms: number): void {
    this.#driver.useTimeout(ms)
  }

  warn(): void {
    this.#driver.warn()
  }

  #failureOf(error: unknown, effect: StoreUnavailableError['outcome']): Error {
    return failureOf(error, isRefusal(error) || !this.#driver.wasSent(error) ? 'none' : effect)
  }

  async #decide(): Promise<void> {
    this.#deciding ??= this.#driver.canPrepare().then(
      canPrepare => {
        if (canPrepare) this.#isPrepared = true
        else this.#stopPreparing()
      },
      error => {
        this.#deciding = undefined
        throw this.#failureOf(error, 'none')
      },
    )
    await this.#deciding.catch(error => {
      throw ownError(error)
    })
  }

  #stopPreparing(): void {
    if (this.#isPrepared === false) return
    this.#isPrepared = false
    process.emitWarning(
      'There is a pooler between the app and PostgreSQL, so sessions go on without prepared statements, which costs about twice as ' +
        'much. If it keeps them, as PgBouncer 1.21 or newer does with max_prepared_statements, give postgresStore prepare: true; ' +
        'else prepare: false, and this warning does not come again',
      'SessionWarning',
    )
  }

  #nameOf(sql: string): string {
    const known = this.#names.get(sql)
    if (known !== undefined) return known
    if (this.#names.size === MAX_NAMES) this.#names.clear()
    const name = `session_${hash('sha256', sql, 'hex').slice(0, 24)}`
    this.#names.set(sql, name)
    return name
  }
}

/** @throws {ConfigurationError} for what is neither a pool nor `sql`, or a part of one that is in somebody's transaction. */
function driverOf(pool: unknown): Driver {
  if (isPool(pool)) return new PoolOfPg(pool)
  if (isSql(pool)) return new SqlOfPostgres(pool)
  throw new ConfigurationError(
    `pool is ${describedAs(pool)}: give a pool of the package pg (new Pool(…)), or what the package postgres gives (postgres(…))`,
  )
}

function describedAs(pool: unknown): string {
  if (typeof pool === 'function' && 'savepoint' in pool) return 'the sql of a transaction'
  if (typeof pool === 'function' && 'release' in pool) return 'the sql of one reserved connection'
  if (typeof pool === 'object' && pool !== null && 'query' in pool)
    return 'one client, which may be in a transaction'
  return 'no pool'
}

/** The pools that the store takes, by the calls that it makes. */
export type PostgreSQLPool = PgPool | PostgresSql
