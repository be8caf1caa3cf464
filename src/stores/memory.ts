import { ConfigurationError, IdTakenError, SessionTooLargeError } from '../errors.ts'
import type { SessionId } from '../ids.ts'
import { factoryOptions } from '../language/calloptions.ts'
import type { Change, Guard } from '../language/change.ts'
import { holds } from '../language/guard.ts'
import type { Path } from '../language/paths.ts'
import { shown } from '../shown.ts'
import { givenBy, givenIn } from '../store/encoding.ts'
import { isEnded, lifeAfter, otherLifetime, type SessionRecord, type Tombstone } from '../store/record.ts'
import type { Answer, Excerpt, Outcome, Store } from '../store/store.ts'
import { assertEncodable, bsonFor, changed, decode, encode, meets, read } from './bson.ts'

export interface MemoryStoreOptions {
  /**
   * The clock by which sessions expire, in milliseconds since the epoch. The default calls `Date.now` each time, so fake timers
   * move it, even if they are installed later. A session's `expires` is always computed from `Date.now`: a clock of your own, set
   * ahead, makes sessions expire, but does not extend them. For a whole app at a later time, use fake timers.
   * @default () => Date.now()
   */
  readonly clock?: () => number
}

/** A store in this process's memory: for tests and for trying things out. Its sessions are lost when the process ends. */
export function memoryStore(options: MemoryStoreOptions = {}): Store & AsyncDisposable {
  const { clock = () => Date.now() } = factoryOptions('memoryStore', options, ['clock'])
  if (typeof clock !== 'function') {
    throw new ConfigurationError(`clock is not a function that returns milliseconds: ${shown(clock)}`)
  }
  bsonFor('memoryStore')
  return new MemoryStore(clock)
}

interface Kept extends Omit<SessionRecord, 'fields'> {
  readonly data: Uint8Array
}

interface KeptTombstone extends Tombstone {
  readonly expires: Date
}

/** Inserts between two sweeps: so many that a sweep adds little to their cost. */
const INSERTS_PER_SWEEP = 1000

/** Dates are copied in and out, as fields are by encoding: a caller that changes its own must not change the session. */
class MemoryStore implements Store, AsyncDisposable {
  readonly #clock: () => number
  readonly #kept = new Map<SessionId, Kept | KeptTombstone>()
  #inserts = 0

  constructor(clock: () => number) {
    this.#clock = clock
  }

  async insert({ fields, ...record }: SessionRecord): Promise<void> {
    assertEncodable(givenIn(fields))
    if (++this.#inserts % INSERTS_PER_SWEEP === 0) this.#sweep()
    if (this.#kept.has(record.id)) throw new IdTakenError('The id is taken')
    this.#kept.set(record.id, { ...copied(record), data: encode(fields) })
  }

  async load(id: SessionId): Promise<SessionRecord | Tombstone | undefined> {
    const found = this.#standing(id)
    if (!found || 'ended' in found) return found && tombstoneOf(found)
    const { data, ...record } = found
    return { ...copied(record), fields: decode(data) }
  }

  async read(id: SessionId, paths: readonly Path[]): Promise<Excerpt | Tombstone | undefined> {
    const found = this.#standing(id)
    if (!found || 'ended' in found) return found && tombstoneOf(found)
    return { rev: found.rev, fields: read(found.data, paths) }
  }

  async update(id: SessionId, change: Change, answer?: Answer): Promise<Outcome> {
    assertEncodable(givenBy(change))
    const found = this.#standing(id)
    if (!found) return 'absent'
    if ('ended' in found) return 'ended'
    if (change.rev !== undefined && change.rev !== found.rev) return 'refused'
    if (!meets(found.data, change.guards)) return 'refused'
    const data = changed(found.data, change)
    if (data.length > (change.maxSize ?? Infinity) && data.length > found.data.length) {
      throw new SessionTooLargeError()
    }
    const { expires, maxAge } = lifeAfter({ expires: found.expires.getTime(), maxAge: found.maxAge }, change)
    const rev = found.rev + 1
    this.#kept.set(id, { ...found, expires: new Date(expires), maxAge, rev, data })
    const other = otherLifetime(change, found.maxAge)
    if (!answer) return { ...other }
    const fields = read(answer.when === 'before' ? found.data : data, answer.paths)
    return { rev, fields, ...other }
  }

  async end(id: SessionId, tombstone: Tombstone, until: Date, rev?: number): Promise<boolean> {
    const found = this.#standing(id)
    if (!found || 'ended' in found || (rev !== undefined && rev !== found.rev)) return false
    this.#kept.set(id, { ...tombstoneOf(tombstone), expires: new Date(until) })
    return true
  }

  async delete(id: SessionId): Promise<void> {
    this.#kept.delete(id)
  }

  /** Reads all sessions: a store for tests needs no index. */
  async *find(path: Path, value: unknown): AsyncGenerator<SessionRecord> {
    assertEncodable([[path, value]])
    const guards: Guard[] = [{ path, comparator: '=', arg: value }]
    for (const id of [...this.#kept.keys()]) {
      const record = await this.load(id)
      if (record && !isEnded(record) && holds(guards, record.fields)) yield record
    }
  }

  async count(): Promise<number> {
    let count = 0
    for (const id of this.#kept.keys()) {
      const found = this.#standing(id)
      if (found && !('ended' in found)) count++
    }
    return count
  }

  async sweep(): Promise<number> {
    const before = this.#kept.size
    this.#sweep()
    return before - this.#kept.size
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #standing(id: SessionId): Kept | KeptTombstone | undefined {
    const found = this.#kept.get(id)
    return found && found.expires.getTime() > this.#clock() ? found : undefined
  }

  #sweep(): void {
    for (const id of this.#kept.keys()) if (!this.#standing(id)) this.#kept.delete(id)
  }
}

// Without `structuredClone`: in a test runner with its own realm, it would make dates of another realm.
function copied<Kept extends Omit<SessionRecord, 'fields'>>(record: Kept): Kept {
  const { created, expires, absolute } = record
  const dates = { created: new Date(created), expires: new Date(expires) }
  return { ...record, ...dates, ...(absolute && { absolute: new Date(absolute) }) }
}

function tombstoneOf({ ended, next }: Tombstone): Tombstone {
  return { ended: new Date(ended), ...(next !== undefined && { next }) }
}
