import type { Change, Guard } from '../core/change.ts'
import { milliseconds } from '../core/duration.ts'
import { ConfigurationError, IdTakenError, SessionTooLargeError } from '../core/errors.ts'
import { holds } from '../core/guard.ts'
import type { Path } from '../core/paths.ts'
import { excerpt } from '../core/picture.ts'
import { isEnded, type SessionId, type SessionRecord, type Tombstone } from '../core/record.ts'
import type { Answer, Excerpt, Outcome, Store } from '../core/store.ts'
import { changed, decode, decodeExactly } from './bson.ts'
import { type Durability, SessionFile } from './lmdb-file.ts'
import { expiryKey, idOfKey, isSessionKey, sessionKey, sessions } from './lmdb-keys.ts'
import {
  bytesOf,
  type Entry,
  endOf,
  entryOf,
  entryOfRecord,
  entryOfTombstone,
  recordOf,
  tombstoneOf,
} from './lmdb-layout.ts'

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
}: LMDBStoreOptions): Store {
  if (typeof path !== 'string' || path === '') {
    throw new ConfigurationError("path is not a file's name: give one, such as './sessions.lmdb'")
  }
  if (durability !== 'process' && durability !== 'disk') {
    throw new ConfigurationError(`durability is 'process' or 'disk', not ${JSON.stringify(durability)}`)
  }
  milliseconds('sweepEvery', sweepEvery)
  return new LMDBStore(new SessionFile(path, durability))
}

class LMDBStore implements Store {
  readonly #file: SessionFile

  constructor(file: SessionFile) {
    this.#file = file
  }

  insert(record: SessionRecord): Promise<void> {
    const key = sessionKey(record.id)
    const entry = entryOfRecord(record)
    const bytes = bytesOf(key, entry)
    return this.#file.write(() => {
      if (this.#file.get(key)) throw new IdTakenError('The id is taken')
      this.#file.put(key, bytes)
      this.#file.put(expiryKey(key, endOf(entry)), NOTHING)
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
    return found.isEnded ? tombstoneOf(found) : { rev: found.rev, fields: excerpt(decode(found.data), paths) }
  }

  update(id: SessionId, change: Change, answer?: Answer): Promise<Outcome> {
    const key = sessionKey(id)
    return this.#file.write(() => {
      const found = standing(key, this.#file.get(key))
      if (!found) return 'absent'
      if (found.isEnded) return 'ended'
      if (change.guards.length > 0 && !holds(change.guards, decodeExactly(found.data))) return 'refused'
      const data = change.operations.length > 0 ? changed(found.data, change) : found.data
      if (data.length > (change.maxSize ?? Infinity) && data.length > found.data.length) {
        throw new SessionTooLargeError()
      }
      const rev = found.rev + 1
      this.#replace(key, found, {
        ...found,
        expires: change.expires?.getTime() ?? found.expires,
        maxAge: change.maxAge ?? found.maxAge,
        rev,
        data,
      })
      if (!answer) return {}
      return { rev, fields: excerpt(decode(answer.when === 'before' ? found.data : data), answer.paths) }
    })
  }

  end(id: SessionId, tombstone: Tombstone, until: Date, rev?: number): Promise<boolean> {
    const key = sessionKey(id)
    const ended = entryOfTombstone(tombstone, until)
    return this.#file.write(() => {
      const found = standing(key, this.#file.get(key))
      if (!found || found.isEnded || (rev !== undefined && rev !== found.rev)) return false
      this.#replace(key, found, ended)
      return true
    })
  }

  delete(id: SessionId): Promise<void> {
    const key = sessionKey(id)
    return this.#file.write(() => {
      const bytes = this.#file.get(key)
      if (!bytes) return
      const found = entryOf(key, bytes)
      if (found) this.#file.remove(expiryKey(key, endOf(found)))
      this.#file.remove(key)
    })
  }

  async *find(path: Path, value: unknown): AsyncGenerator<SessionRecord> {
    const guards: Guard[] = [{ path, comparator: '=', arg: value }]
    for (const key of this.#file.keys(sessions, 1e9)) {
      if (!isSessionKey(key)) continue
      const record = await this.load(idOfKey(key))
      if (record && !isEnded(record) && holds(guards, record.fields)) yield record
    }
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  #read(id: SessionId): Entry | undefined {
    const key = sessionKey(id)
    return standing(key, this.#file.read(key))
  }

  #replace(key: Buffer, old: Entry, next: Entry): void {
    this.#file.put(key, bytesOf(key, next))
    if (endOf(old) === endOf(next)) return
    this.#file.remove(expiryKey(key, endOf(old)))
    this.#file.put(expiryKey(key, endOf(next)), NOTHING)
  }
}

const NOTHING = new Uint8Array()

function standing(key: Buffer, bytes: Buffer | undefined): Entry | undefined {
  const entry = bytes && entryOf(key, bytes)
  return entry && endOf(entry) > Date.now() ? entry : undefined
}
