import { setImmediate } from 'node:timers/promises'
import { milliseconds } from '../../duration.ts'
import { ConfigurationError, IdTakenError, SessionTooLargeError } from '../../errors.ts'
import type { SessionId } from '../../ids.ts'
import type { Change, Guard, Operation } from '../../language/change.ts'
import { holds } from '../../language/guard.ts'
import { overlap, type Path } from '../../language/paths.ts'
import { givenBy, givenIn } from '../../store/encoding.ts'
import { isEnded, lifeAfter, otherLifetime, type SessionRecord, type Tombstone } from '../../store/record.ts'
import type { Answer, Excerpt, Outcome, Store } from '../../store/store.ts'
import { assertEncodable, bsonFor, changed, meets, read } from '../bson.ts'
import { Entries } from './entries.ts'
import { SessionFile } from './file.ts'
import { after, idOfKey, type Range, sessionKey, sessions } from './keys.ts'
import { type Entry, entryOfRecord, entryOfTombstone, recordOf, standing, tombstoneOf } from './layout.ts'
import type { Durability } from './meta.ts'
import { Sweeper } from './sweeper.ts'
import { userRanges } from './users.ts'

export interface LMDBStoreOptions {
  /** The file, which is made if it is not there. Its folder must be. */
  readonly path: string
  /**
   * What an acknowledged change survives: the end of the process, however sudden (`'process'`), or also that of the
   * machine (`'disk'`: it is flushed to disk first, which takes as long as the disk takes).
   * @default 'process'
   */
  readonly durability?: Durability
  /** Between two looks for expired sessions, milliseconds or words. @default '1 minute' */
  readonly sweepEvery?: number | string
}

/**
 * Sessions in a file of this machine, which many processes may share.
 * @throws {ConfigurationError} when the file cannot be a session store, which then is left as it is.
 */
export function lmdbStore({
  path,
  durability = 'process',
  sweepEvery = '1 minute',
}: LMDBStoreOptions): Store & AsyncDisposable {
  if (typeof path !== 'string' || path === '') {
    throw new ConfigurationError("path is not a file's name: give one, such as './sessions.lmdb'")
  }
  if (durability !== 'process' && durability !== 'disk') {
    throw new ConfigurationError(`durability is 'process' or 'disk', not ${JSON.stringify(durability)}`)
  }
  const every = milliseconds('sweepEvery', sweepEvery)
  bsonFor('lmdbStore')
  return new LMDBStore(new SessionFile(path, durability), every)
}

/** So many keys are read, or sessions indexed, before others get their turn. */
const PAGE = 100

class LMDBStore implements Store, AsyncDisposable {
  readonly #file: SessionFile
  readonly #entries: Entries
  readonly #sweeper: Sweeper

  constructor(file: SessionFile, sweepEvery: number) {
    this.#file = file
    this.#entries = new Entries(file)
    this.#sweeper = new Sweeper(file, this.#entries, sweepEvery)
  }

  async insert(record: SessionRecord): Promise<void> {
    assertEncodable(givenIn(record.fields))
    const key = sessionKey(record.id)
    const entry = entryOfRecord(record)
    return this.#file.write(() => {
      if (this.#entries.has(key)) throw new IdTakenError('The id is taken')
      this.#entries.add(key, entry)
    })
  }

  async load(id: SessionId): Promise<SessionRecord | Tombstone | undefined> {
    const found = this.#read(id)
    if (!found) return undefined
    return found.isEnded ? tombstoneOf(found) : recordOf(id, found)
  }

  async read(id: SessionId, paths: readonly Path[]): Promise<Excerpt | Tombstone | undefined> {
    const found = this.#read(id)
    if (!found) return undefined
    return found.isEnded ? tombstoneOf(found) : { rev: found.rev, fields: read(found.data, paths) }
  }

  async update(id: SessionId, change: Change, answer?: Answer): Promise<Outcome> {
    assertEncodable(givenBy(change))
    const key = sessionKey(id)
    return this.#file.write(() => {
      const found = this.#entries.standing(key)
      if (!found) return 'absent'
      if (found.isEnded) return 'ended'
      if (change.rev !== undefined && change.rev !== found.rev) return 'refused'
      if (!meets(found.data, change.guards)) return 'refused'
      const data = changed(found.data, change)
      if (data.length > (change.maxSize ?? Infinity) && data.length > found.data.length) {
        throw new SessionTooLargeError()
      }
      const rev = found.rev + 1
      const next = { ...found, ...lifeAfter(found, change), rev, data }
      this.#entries.replace(key, found, next, path => change.operations.some(one => touches(one, path)))
      const other = otherLifetime(change, found.maxAge)
      if (!answer) return { ...other }
      const fields = read(answer.when === 'before' ? found.data : data, answer.paths)
      return { rev, fields, ...other }
    })
  }

  end(id: SessionId, tombstone: Tombstone, until: Date, rev?: number): Promise<boolean> {
    const key = sessionKey(id)
    const ended = entryOfTombstone(tombstone, until)
    return this.#file.write(() => {
      const found = this.#entries.standing(key)
      if (!found || found.isEnded || (rev !== undefined && rev !== found.rev)) return false
      this.#entries.replace(key, found, ended)
      return true
    })
  }

  delete(id: SessionId): Promise<void> {
    const key = sessionKey(id)
    return this.#file.write(() => this.#entries.remove(key))
  }

  /** Without a complete index, by looking at all sessions. */
  async *find(path: Path, value: unknown): AsyncGenerator<SessionRecord> {
    assertEncodable([[path, value]])
    const guards: Guard[] = [{ path, comparator: '=', arg: value }]
    const index = this.#file.readMeta().indexes.find(one => one.path === path)
    for (const range of (index?.isComplete && userRanges(path, value)) || [sessions]) {
      for await (const keys of this.#pages(range)) {
        for (const key of keys) {
          const record = await this.load(idOfKey(key))
          if (record && !isEnded(record) && holds(guards, record.fields)) yield record
        }
      }
    }
  }

  /** An index by `user`, which then has also the sessions that were stored before. */
  async ensureIndex(user?: Path): Promise<void> {
    if (user === undefined || (await this.#declare(user, false))) return
    for await (const keys of this.#pages(sessions)) {
      await this.#file.write(() => {
        for (const key of keys) this.#entries.index(key, user)
      })
    }
    await this.#declare(user, true)
  }

  /** From then on, writes of all processes keep the index. Tells whether it is complete. */
  #declare(path: Path, isComplete: boolean): Promise<boolean> {
    return this.#file.write(() => {
      const { meta } = this.#file
      if (meta.indexes.some(one => one.path === path && (one.isComplete || !isComplete))) {
        return meta.indexes.some(one => one.path === path && one.isComplete)
      }
      const others = meta.indexes.filter(one => one.path !== path)
      this.#file.setMeta({ ...meta, indexes: [...others, { path, isComplete }] })
      return isComplete
    })
  }

  async *#pages(range: Range): AsyncGenerator<Buffer[]> {
    let rest = range
    for (;;) {
      const keys = this.#file.readKeys(rest, PAGE)
      yield keys
      const last = keys.at(-1)
      if (!last || keys.length < PAGE) return
      rest = after(last, range)
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

  #read(id: SessionId): Entry | undefined {
    const key = sessionKey(id)
    return standing(key, this.#file.read(key))
  }
}

function touches(operation: Operation, path: Path): boolean {
  return overlap(operation.path, path) || (operation.op === '$rename' && overlap(operation.to, path))
}
