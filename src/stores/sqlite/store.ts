import { setImmediate } from 'node:timers/promises'
import { milliseconds } from '../../duration.ts'
import { ConfigurationError, IdTakenError, SessionTooLargeError } from '../../errors.ts'
import type { SessionId } from '../../ids.ts'
import { factoryOptions } from '../../language/calloptions.ts'
import type { Change, Guard } from '../../language/change.ts'
import type { Path } from '../../language/paths.ts'
import { givenBy, givenIn } from '../../store/encoding.ts'
import { isEnded, lifeAfter, otherLifetime, type SessionRecord, type Tombstone } from '../../store/record.ts'
import type { Answer, Excerpt, Outcome, Store } from '../../store/store.ts'
import { assertEncodable, bsonFor, changed, encode, meets, read, sound } from '../bson.ts'
import type { SQLiteDatabase } from './driver.ts'
import { SessionFile } from './file.ts'
import type { Durability } from './form.ts'
import { openFile } from './open.ts'
import { type Altered, recordOf, SessionTable } from './sessions.ts'
import { Sweeper } from './sweeper.ts'
import { touchesUser, UserIndex, userIn } from './users.ts'

export type { SQLiteDatabase, SQLiteStatement, SQLValue } from './driver.ts'

export interface SQLiteStoreOptions {
  /**
   * The path of the file. The file is created if it does not exist; its folder must exist. It is opened with `node:sqlite` or, on
   * Node.js older than 22.13, with `better-sqlite3` or `libsql`.
   */
  readonly path?: string
  /**
   * Instead of `path`: a database that the app has opened with one of these three packages, used for sessions only. The store sets
   * its busy timeout to 0, so that no other process blocks this one. The app closes it, after the store.
   */
  readonly database?: SQLiteDatabase
  /**
   * What an acknowledged change survives: a crash of the process (`'process'`), or also a crash of the machine (`'disk'`). With
   * `'disk'` each change is flushed to disk before it is acknowledged, which is slower.
   * @default 'process'
   */
  readonly durability?: Durability
  /** How often expired sessions are removed: milliseconds, or words such as `'5 minutes'`. @default '1 minute' */
  readonly sweepEvery?: number | string
}

/**
 * Sessions in an SQLite file on this machine. Many processes and worker threads may share it.
 * @throws {ConfigurationError} if the file cannot be a session store. The file is then left as it is.
 */
export function sqliteStore(options: SQLiteStoreOptions): Store & AsyncDisposable {
  const names = ['path', 'database', 'durability', 'sweepEvery'] as const
  const given = factoryOptions('sqliteStore', options, names)
  const { path, database, durability = 'process', sweepEvery = '1 minute' } = given
  if (durability !== 'process' && durability !== 'disk') {
    throw new ConfigurationError(`durability is 'process' or 'disk', not ${JSON.stringify(durability)}`)
  }
  const every = milliseconds('sweepEvery', sweepEvery)
  bsonFor('sqliteStore')
  return new SQLiteStore(openedBy(path, database, durability), every)
}

function openedBy(path: unknown, database: SQLiteDatabase | undefined, durability: Durability): SessionFile {
  if (database !== undefined) {
    if (path !== undefined) throw new ConfigurationError('sqliteStore takes path or database, not both')
    if (typeof database?.prepare !== 'function' || typeof database.exec !== 'function') {
      throw new ConfigurationError(
        'database is none that node:sqlite, better-sqlite3 or libsql has opened: it lacks prepare() and exec()',
      )
    }
    return new SessionFile(() => database, durability, false)
  }
  if (typeof path !== 'string' || path === '') {
    throw new ConfigurationError("path is not a file's name: give one, such as './sessions.sqlite'")
  }
  return new SessionFile(() => openFile(path), durability, true, path)
}

/** How many keys are read, or sessions indexed, before the event loop gets a turn. */
const PAGE = 100

class SQLiteStore implements Store, AsyncDisposable {
  readonly #file: SessionFile
  readonly #sessions: SessionTable
  readonly #users: UserIndex
  readonly #sweeper: Sweeper

  constructor(file: SessionFile, sweepEvery: number) {
    this.#file = file
    this.#sessions = new SessionTable(file)
    this.#users = new UserIndex(file)
    this.#sweeper = new Sweeper(file, this.#sessions, sweepEvery)
  }

  async insert(record: SessionRecord): Promise<void> {
    assertEncodable(givenIn(record.fields))
    const fields = encode(record.fields)
    return this.#file.write(() => {
      const isNew = this.#sessions.insert(record, fields, userIn(fields, this.#users.path))
      if (!isNew) throw new IdTakenError('The id is taken')
    })
  }

  async load(id: SessionId): Promise<SessionRecord | Tombstone | undefined> {
    return this.#file.read(() => {
      const found = this.#sessions.standing(id)
      if (!found) return undefined
      return isEnded(found) ? found : sound(() => recordOf(id, found))
    })
  }

  async read(id: SessionId, paths: readonly Path[]): Promise<Excerpt | Tombstone | undefined> {
    return this.#file.read(() => {
      const found = this.#sessions.standing(id)
      if (!found) return undefined
      if (isEnded(found)) return found
      return sound(() => ({ rev: found.rev, fields: read(found.fields, paths) }))
    })
  }

  async update(id: SessionId, change: Change, answer?: Answer): Promise<Outcome> {
    assertEncodable(givenBy(change))
    return this.#file.write(() => {
      const { userPath, found } = this.#sessions.toChange(id)
      if (!found) return 'absent'
      if (found === 'ended') return found
      if (change.rev !== undefined && change.rev !== found.rev) return 'refused'
      const result = sound(() => made(found, userPath, change, answer))
      if (typeof result !== 'object') return result ?? 'absent'
      this.#sessions.replace(found, result.row)
      return { ...result.answer, ...otherLifetime(change, found.maxAge) }
    })
  }

  async end(id: SessionId, tombstone: Tombstone, until: Date, rev?: number): Promise<boolean> {
    return this.#removing(() => this.#sessions.end(id, tombstone, until, rev))
  }

  async delete(id: SessionId): Promise<void> {
    return this.#removing(() => this.#sessions.delete(id))
  }

  #removing<T>(remove: () => T): Promise<T> {
    const isRemoving = true
    return this.#file.write(() => {
      this.#users.assertForm()
      return remove()
    }, isRemoving)
  }

  /** Reads all sessions if there is no complete index. */
  async *find(path: Path, value: unknown): AsyncGenerator<SessionRecord> {
    assertEncodable([[path, value]])
    const guards: Guard[] = [{ path, comparator: '=', arg: value }]
    const keys = await this.#file.read(() => this.#users.keysFor(path, value))
    for (const key of keys ?? [undefined]) {
      for await (const page of this.#pages(key)) {
        for (const { id } of page) {
          const record = await this.#file.read(() => this.#matching(id, guards))
          if (record) yield record
        }
      }
    }
  }

  #matching(id: SessionId, guards: readonly Guard[]): SessionRecord | undefined {
    const found = this.#sessions.standing(id)
    if (!found || isEnded(found)) return undefined
    return sound(() => (meets(found.fields, guards) ? recordOf(id, found) : undefined))
  }

  count(): Promise<number> {
    return this.#file.read(() => this.#sessions.count())
  }

  /** In small transactions, with a turn of the event loop after each. */
  sweep(): Promise<number> {
    return this.#sweeper.sweepAll()
  }

  /** Indexes all sessions by `user`, those stored before included. A file has one such index: the last one asked for. */
  async ensureIndex(user?: Path): Promise<void> {
    if (user === undefined || (await this.#file.write(() => this.#users.declare(user)))) return
    for await (const page of this.#pages()) {
      const isOver = await this.#file.write(() => {
        if (this.#users.path !== user) return true
        for (const { id } of page) this.#index(id, user)
        return false
      })
      if (isOver) return
    }
    await this.#file.write(() => this.#users.complete(user))
  }

  #index(id: SessionId, userPath: Path): void {
    const found = this.#sessions.standing(id)
    if (!found || isEnded(found)) return
    const user = sound(() => userIn(found.fields, userPath)) ?? null
    if (user !== found.user) this.#sessions.setUser(found.row, user)
  }

  isIndexed(user?: Path): Promise<boolean> {
    return this.#file.read(() => user === undefined || this.#users.isComplete(user))
  }

  useTimeout(ms: number): void {
    this.#file.useTimeout(ms)
  }

  async *#pages(user?: string): AsyncGenerator<readonly { readonly id: SessionId }[]> {
    // New ones come last: where they come fast, reading on would have no end.
    const last = await this.#file.read(() => this.#sessions.last())
    for (let after = 0; ; ) {
      const page = await this.#file.read(() => this.#sessions.page(after, last, PAGE, user))
      yield page
      const end = page.at(-1)
      if (!end || page.length < PAGE) return
      after = end.row
      await setImmediate()
    }
  }

  close(): Promise<void> {
    this.#sweeper.stop()
    return this.#file.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** The session after a change, and the answer. */
function made(found: Altered, userPath: Path | null, change: Change, answer: Answer | undefined) {
  if (!meets(found.fields, change.guards)) return 'refused'
  const fields = changed(found.fields, change)
  if (fields.length > (change.maxSize ?? Infinity) && fields.length > found.fields.length) {
    throw new SessionTooLargeError()
  }
  const rev = found.rev + 1
  const isTouched = userPath !== null && touchesUser(change, userPath)
  const user = isTouched ? userIn(fields, userPath) : found.user
  const { expires, maxAge } = lifeAfter(found, change)
  return {
    row: { row: found.row, expires, maxAge, rev, user, fields },
    answer: answer && {
      rev,
      fields: read(answer.when === 'before' ? found.fields : fields, answer.paths),
    },
  }
}
