import { milliseconds } from '../../duration.ts'
import { IdTakenError, type StoreUnavailableError } from '../../errors.ts'
import type { SessionId } from '../../ids.ts'
import { factoryOptions } from '../../language/calloptions.ts'
import { excerpt } from '../../language/excerpt.ts'
import type { Path } from '../../language/paths.ts'
import { givenBy, givenIn } from '../../store/encoding.ts'
import { joined, type Loaded, type Read, type Update } from '../../store/joining.ts'
import { otherLifetime, type SessionRecord, type Tombstone } from '../../store/record.ts'
import type { Answer, Outcome, Store } from '../../store/store.ts'
import { ownError } from '../../store/wrapping.ts'
import { assertEncodable, bsonFor, sound } from '../bson.ts'
import {
  type CombinableStore,
  combined,
  type FieldStore,
  type Hints,
  type Missing,
  type Moved,
  type Standing,
  type Swap,
  type Swapped,
  type Together,
  updateFields,
} from '../fields.ts'
import { Connection, type PostgreSQLPool } from './connection.ts'
import type { Row } from './driver.ts'
import { noneOfDamaged, noneOfData } from './errors.ts'
import { findSessions } from './finding.ts'
import { type Names, namesOf, type TableOptions } from './names.ts'
import { loadOne, readOne } from './reading.ts'
import { end, insert, loadedIn, loadMany, readIn, readMany, removeRest, tombstoneIn } from './records.ts'
import { look, seenIn, topOf } from './seen.ts'
import { fieldsIn } from './select.ts'
import { assertUsable, inspected, type Server, serverOf } from './server.ts'
import { type SimpleChange, simpleChange } from './simple.ts'
import { Parameters } from './statement.ts'
import { Sweeper } from './sweeper.ts'
import { LIVES, type Statement, simpleUpdate, swappedIn, swapping } from './update.ts'
import { ensureSchema, sweep } from './upkeep.ts'
import { PREFIX, prefixOf, userKey } from './users.ts'
import { decoded } from './values.ts'

export type { PostgreSQLPool } from './connection.ts'
export { type SchemaOptions, schemaOf } from './schema.ts'

export interface PostgreSQLStoreOptions extends TableOptions {
  /** A pool of the package `pg`, version 8, or the client of the package `postgres`, version 3. */
  readonly pool: PostgreSQLPool
  /**
   * Whether statements are prepared. Prepared statements take the server half the time. By default they are used, unless the store
   * finds a connection pooler that does not keep them; it then warns once.
   * @default prepared where that works
   */
  readonly prepare?: boolean
  /**
   * Whether `ensureIndex` creates unlogged tables. Changes are faster, but PostgreSQL empties these tables after a crash, and
   * standbys do not have them.
   * @default false
   */
  readonly unlogged?: boolean
  /** How often expired sessions are removed: milliseconds, or words such as `'5 minutes'`. @default '1 minute' */
  readonly sweepEvery?: number | string
}

const optionNames = ['pool', 'schema', 'table', 'prepare', 'unlogged', 'sweepEvery'] as const

/**
 * Sessions in PostgreSQL, version 12 or newer. Each session is one row, and each of its fields over 1 KiB another.
 * @throws {ConfigurationError} if `pool` is not a pool, or another option is not valid.
 */
export function postgresStore(options: PostgreSQLStoreOptions): Store & AsyncDisposable {
  const given = factoryOptions('postgresStore', options, optionNames)
  const names = namesOf(given)
  const every = milliseconds('sweepEvery', given.sweepEvery ?? '1 minute')
  bsonFor('postgresStore')
  const connection = new Connection(given.pool, given.prepare)
  const store = new PostgreSQLStore(connection, names, given, every)
  // Only reads: one statement for several changes would lock all rows until the last one is changed.
  return joined({
    ...combined(store),
    loadMany: ids => store.loadMany(ids),
    readMany: (ids, paths) => store.readMany(ids, paths),
  })
}

class PostgreSQLStore implements CombinableStore<Standing>, FieldStore {
  readonly #connection: Connection
  readonly #names: Names
  readonly #options: PostgreSQLStoreOptions
  readonly #sweeper: Sweeper
  #server: Promise<Server> | undefined
  /** What the keys in the index by user may begin with. */
  #prefixes: string[] = []
  /** How far the server's clock is ahead of this process's, in milliseconds, including the network's delay. */
  #ahead = 0

  constructor(connection: Connection, names: Names, options: PostgreSQLStoreOptions, sweepEvery: number) {
    this.#connection = connection
    this.#names = names
    this.#options = options
    this.#sweeper = new Sweeper(sweepEvery, () => this.sweep())
  }

  async insert(record: SessionRecord): Promise<void> {
    assertEncodable(givenIn(record.fields))
    const { user } = await this.#known()
    const key = user === undefined ? null : userKey(user, record.fields)
    const rows = await this.#run(insert(this.#names, record, key), 'unknown')
    if (rows.length === 0) throw new IdTakenError('The id is taken')
  }

  async load(id: SessionId): Promise<Loaded> {
    return loadOne(this.#connection, this.#names, id)
  }

  async read(id: SessionId, paths: readonly Path[]): Promise<Read> {
    return readOne(this.#connection, this.#names, id, paths)
  }

  async loadMany(ids: readonly SessionId[]): Promise<PromiseSettledResult<Loaded>[]> {
    const rows = await this.#run(loadMany(this.#names, ids), 'none').catch(noneOfData)
    if (!rows) return Promise.allSettled(ids.map(id => this.load(id)))
    return eachIn(rows, ids, loadedIn)
  }

  async readMany(ids: readonly SessionId[], paths: readonly Path[]): Promise<PromiseSettledResult<Read>[]> {
    const rows = await this.#run(readMany(this.#names, ids, paths), 'none').catch(noneOfData)
    if (!rows) return Promise.allSettled(ids.map(id => this.read(id, paths)))
    return eachIn(rows, ids, (_, row) => readIn(row, paths))
  }

  async update(id: SessionId, change: Update['change'], answer?: Answer): Promise<Outcome> {
    const until = Number.POSITIVE_INFINITY
    const { results } = await this.updateTogether(id, [{ id, change, answer }], { until })
    const [result] = results
    if (result?.status === 'fulfilled') return result.value
    throw result?.reason
  }

  async updateTogether(
    id: SessionId,
    updates: readonly Update[],
    { told, until }: Hints<Standing>,
  ): Promise<Together<Standing>> {
    const { user } = await this.#known()
    const [first] = updates
    if (first && updates.length === 1) {
      assertEncodable(givenBy(first.change))
      const simple = simpleChange(first, user)
      const value = simple && (await this.#updateSimply(first, simple, until))
      if (value) return { results: [{ status: 'fulfilled', value }] }
    }
    return updateFields(this, id, updates, { until, ...(told && { told }) })
  }

  async #updateSimply(
    { id, change, answer }: Update,
    simple: SimpleChange,
    until: number,
  ): Promise<Outcome | undefined> {
    const statement = simpleUpdate(this.#names, id, change, simple, this.#prefixes)
    const [row] = await this.#run(statement, 'unknown', until).catch(noneOfDamaged)
    if (!row) return undefined
    const { whileMaxAge } = change
    const other = whileMaxAge === undefined ? undefined : otherLifetime(change, Number(row[1]))
    if (!answer) return { ...other }
    const at = whileMaxAge === undefined ? 1 : 2
    const fields = sound(() => excerpt(fieldsIn(row, at, simple.answered), answer.paths))
    // The server has made the change, and the session is damaged all the same: it is absent, as when it is loaded.
    return fields ? { rev: Number(row[0]), fields, ...other } : 'absent'
  }

  async readFields(id: SessionId, names: readonly string[], exactSize: boolean): Promise<Standing | Missing> {
    const wanted = exactSize ? 'all' : names
    const [row] = await this.#run(look(this.#names, id, wanted), 'none').catch(noneOfDamaged)
    if (!row) return 'absent'
    if (tombstoneIn(row)) return 'ended'
    const seen = sound(() => seenIn(row, wanted, names))
    if (!seen) return 'absent'
    const { standing, userKey, now } = seen
    this.#ahead = now - Date.now()
    if (userKey !== null) await this.#learn(userKey.slice(0, PREFIX))
    return standing
  }

  async swapFields(id: SessionId, swap: Swap): Promise<Swapped | Moved> {
    const { user } = await this.#known()
    const statement = swapping(this.#names, id, swap, this.#prefixes, userKeyAfter(swap, user))
    const [row] = await this.#run(statement, 'unknown')
    return row ? swappedIn(row, swap) : { isMoved: true }
  }

  now(): number {
    return Date.now() + this.#ahead
  }

  async end(id: SessionId, tombstone: Tombstone, until: Date, rev?: number): Promise<boolean> {
    const [row] = await this.#run(end(this.#names, id, tombstone, until, rev), 'unknown')
    // The session has ended even if this fails: the sweep then removes the rest with the tombstone.
    if (row?.[0] === 'false') await this.#run(removeRest(this.#names, id), 'none').catch(() => {})
    return row !== undefined
  }

  async delete(id: SessionId): Promise<void> {
    const parameters = new Parameters()
    const sql = `DELETE FROM ${this.#names.sessions} AS s WHERE s.id = ${parameters.text(id)}`
    await this.#run({ sql, parameters }, 'unknown')
  }

  async *find(path: Path, value: unknown): AsyncGenerator<SessionRecord> {
    assertEncodable([[path, value]])
    const { user } = await this.#known(true)
    yield* findSessions(this.#connection, this.#names, path, value, path === user)
  }

  async count(): Promise<number> {
    const sql = `SELECT count(*)::text FROM ${this.#names.sessions} AS s WHERE ${LIVES}`
    const [row] = await this.#run({ sql, parameters: new Parameters() }, 'none')
    return Number(row?.[0])
  }

  async ensureIndex(user?: Path): Promise<void> {
    await assertUsable(this.#connection)
    const { pool: _, prepare: __, sweepEvery: ___, ...options } = this.#options
    await ensureSchema(this.#connection, this.#names, { ...options, ...(user !== undefined && { user }) })
    await this.#known(true)
  }

  async isIndexed(user?: Path): Promise<boolean> {
    const { isComplete, hasUserIndex } = await inspected(this.#connection, this.#names)
    if (!isComplete || user === undefined) return isComplete
    return hasUserIndex && (await this.#known(true)).user === user
  }

  sweep(): Promise<number> {
    return sweep(this.#connection, this.#names, () => this.#sweeper.isStopped)
  }

  useTimeout(ms: number): void {
    this.#connection.useTimeout(ms)
  }

  /** The pool is the app's. */
  async close(): Promise<void> {
    this.#sweeper.stop()
  }

  /** Asks again each time until the server has answered. `anew`: asks even then, since the answer may have changed. */
  async #known(anew = false): Promise<Server> {
    const known = anew ? undefined : this.#server
    const asked = known ?? serverOf(this.#connection, this.#names)
    this.#server = asked
    try {
      const server = await asked
      if (!known) this.#prefixes = server.user === undefined ? [] : [prefixOf(server.user)]
      return server
    } catch (error) {
      if (this.#server === asked) this.#server = undefined
      throw ownError(error)
    }
  }

  /** Another process may have changed the user's field since, or this session is not indexed by the new field yet. */
  async #learn(prefix: string): Promise<void> {
    if (this.#prefixes.includes(prefix)) return
    await this.#known(true)
    if (!this.#prefixes.includes(prefix)) this.#prefixes.push(prefix)
  }

  #run(
    { sql, parameters }: Statement,
    effect: StoreUnavailableError['outcome'],
    until?: number,
  ): Promise<readonly Row[]> {
    return this.#connection.query(sql, parameters.values, effect, until)
  }
}

/** The result for each of these sessions, in their order. A row that cannot be read does not affect the others. */
function eachIn<T>(
  rows: readonly Row[],
  ids: readonly SessionId[],
  resultOf: (id: SessionId, row: Row | undefined) => T,
): Promise<PromiseSettledResult<T>[]> {
  const found = new Map(rows.map(([id, ...row]) => [id, row]))
  return Promise.allSettled(ids.map(async id => resultOf(id, found.get(id))))
}

/** The new key of the session's user, if the swap may change it. */
function userKeyAfter({ set, unset }: Swap, user: Path | undefined): string | undefined {
  if (user === undefined) return undefined
  const name = topOf(user)
  const bytes = set.get(name)
  if (bytes) return userKey(user, { [name]: decoded(bytes) })
  return unset.includes(name) ? userKey(user, {}) : undefined
}
