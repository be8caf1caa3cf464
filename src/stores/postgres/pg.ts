import { StoreUnavailableError } from '../../errors.ts'
import type { Driver, Parameter, Row } from './driver.ts'

/** The members of a `Pool` of the package pg, version 8, that the store uses. */
export interface PgPool {
  readonly totalCount: number
  readonly options?: { readonly connectionTimeoutMillis?: number | undefined }
  listenerCount(event: 'error'): number
  connect(): Promise<PgClient>
}

interface PgClient {
  on(event: 'error', listener: () => void): unknown
  query(query: object | string): Promise<unknown>
  release(destroy?: boolean): void
}

/** One client has no count of clients. */
export function isPool(pool: unknown): pool is PgPool {
  return typeof pool === 'object' && pool !== null && 'totalCount' in pool && 'connect' in pool
}

/** Each value as the server writes it, whatever parsers the app has set. */
const texts = { getTypeParser: () => (text: string) => text }

const nothing = () => {}

export class PoolOfPg implements Driver {
  readonly #pool: PgPool
  readonly #sent = new WeakSet<object>()
  readonly #listened = new WeakSet<PgClient>()
  #timeout = Number.POSITIVE_INFINITY

  constructor(pool: PgPool) {
    this.#pool = pool
  }

  async query(
    text: string,
    values: readonly Parameter[],
    name: string | undefined,
    until: number | undefined,
  ): Promise<readonly Row[]> {
    const query = { text, values, rowMode: 'array', types: texts, ...(name !== undefined && { name }) }
    const { rows } = (await this.#with(client => client.query(query), until)) as { rows: Row[] }
    return rows
  }

  async script(sql: string): Promise<void> {
    await this.#with(client => client.query(sql))
  }

  async canPrepare(): Promise<boolean> {
    return true
  }

  wasSent(error: unknown): boolean {
    return typeof error === 'object' && error !== null && this.#sent.has(error)
  }

  useTimeout(ms: number): void {
    this.#timeout = ms
  }

  warn(): void {
    if (this.#pool.listenerCount('error') > 0) return
    process.emitWarning(
      "The pool has no listener for 'error': pg ends the process when an idle connection is lost, as when PostgreSQL restarts. " +
        "Give it one: pool.on('error', error => console.error(error))",
      'SessionWarning',
    )
  }

  /** If a connection is available only after the caller's timeout, nothing is sent. */
  async #with<T>(
    use: (client: PgClient) => Promise<T>,
    until = performance.now() + this.#timeout,
  ): Promise<T> {
    const client = await this.#pool.connect()
    if (performance.now() > until) {
      client.release()
      throw new StoreUnavailableError('PostgreSQL had no connection to spare in time', 'none')
    }
    // Told of a lost connection once more, beside the statement's own failure, and would throw if nobody listened.
    if (!this.#listened.has(client)) {
      this.#listened.add(client)
      client.on('error', nothing)
    }
    let isBroken = false
    try {
      return await use(client)
    } catch (error) {
      isBroken = true
      if (typeof error === 'object' && error !== null) {
        this.#sent.add(error)
        isBroken = !('severity' in error) || error.severity !== 'ERROR'
      }
      throw error
    } finally {
      client.release(isBroken)
    }
  }
}
