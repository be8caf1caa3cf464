import { setImmediate } from 'node:timers/promises'
import { IdTakenError } from '../../src/errors.ts'
import type { SessionId } from '../../src/ids.ts'
import { excerpt } from '../../src/language/excerpt.ts'
import { partsOf } from '../../src/language/paths.ts'
import type { CombinableStore } from '../../src/store/combining.ts'
import { givenIn } from '../../src/store/encoding.ts'
import type { SessionRecord, Tombstone } from '../../src/store/record.ts'
import { assertEncodable } from '../../src/stores/bson.ts'
import type { Standing, StoredField, Swap } from '../../src/stores/draft.ts'
import { decodeFields, encodeFields, sizeOfFields } from '../../src/stores/fieldbytes.ts'
import {
  type FieldStore,
  type Missing,
  type Moved,
  type Swapped,
  updateFields,
} from '../../src/stores/swapping.ts'

interface Kept extends Omit<SessionRecord, 'fields'> {
  readonly fields: ReadonlyMap<string, StoredField>
}

interface KeptTombstone extends Tombstone {
  readonly expires: Date
}

export interface FieldStoreOptions {
  /** Whether each field has the revision that wrote it; otherwise the whole record's is compared. */
  readonly stamps?: boolean
  /** Whether a refused swap tells how the session is. */
  readonly tells?: boolean
  /** What is compared of a swap, if not all. */
  readonly compared?: (swap: Swap) => Swap
  /** Bytes by which a size is told too large, unless it is asked for exactly. */
  readonly slack?: number
}

/** Sessions in memory by their top-level fields, changed by nothing but swaps: what such stores have in common, and no more. */
export function fieldStore({
  stamps = true,
  tells = true,
  slack = 0,
  compared = swap => swap,
}: FieldStoreOptions = {}) {
  return new MemoryFieldStore(stamps, tells, slack, compared)
}

export class MemoryFieldStore implements FieldStore, CombinableStore<Standing> {
  readonly #kept = new Map<SessionId, Kept | KeptTombstone>()
  readonly #hasStamps: boolean
  readonly #tells: boolean
  readonly #slack: number
  readonly #compared: (swap: Swap) => Swap

  constructor(hasStamps: boolean, tells: boolean, slack: number, compared: (swap: Swap) => Swap) {
    this.#hasStamps = hasStamps
    this.#tells = tells
    this.#slack = slack
    this.#compared = compared
  }

  async insert({ fields, ...record }: SessionRecord): Promise<void> {
    assertEncodable(givenIn(fields))
    const stored = [...encodeFields(fields)].map(
      ([name, bytes]) => [name, { bytes, stamp: record.rev }] as const,
    )
    if (this.#kept.has(record.id)) throw new IdTakenError('The id is taken')
    this.#kept.set(record.id, { ...structuredClone(record), fields: new Map(stored) })
  }

  async load(id: SessionId) {
    const found = this.#standing(id)
    if (!found) return undefined
    if ('ended' in found) return tombstoneOf(found)
    const { fields, ...record } = found
    return { ...structuredClone(record), fields: decodeFields(bytesIn(fields)) }
  }

  async read(id: SessionId, paths: readonly string[]) {
    const found = this.#standing(id)
    if (!found) return undefined
    if ('ended' in found) return tombstoneOf(found)
    const names = new Set(paths.map(path => partsOf(path)[0] ?? ''))
    const wanted = bytesIn(found.fields).filter(([name]) => names.has(name))
    return { rev: found.rev, fields: excerpt(decodeFields(wanted), paths) }
  }

  async update(id: SessionId, change: Parameters<CombinableStore['update']>[1], answer?: never) {
    const until = performance.now() + 5000
    const { results } = await this.updateTogether(id, [{ id, change, answer }], { until })
    const [result] = results
    if (result?.status === 'fulfilled') return result.value
    throw result?.reason
  }

  updateTogether: CombinableStore<Standing>['updateTogether'] = (id, updates, hints) =>
    updateFields(this, id, updates, hints)

  async readFields(id: SessionId, names: readonly string[], exactSize: boolean): Promise<Standing | Missing> {
    await setImmediate()
    const found = this.#standing(id)
    if (!found) return 'absent'
    if ('ended' in found) return 'ended'
    return this.#told(found, names, exactSize)
  }

  async swapFields(id: SessionId, swap: Swap): Promise<Swapped | Moved | Missing> {
    await setImmediate()
    const found = this.#standing(id)
    if (!found) return 'absent'
    if ('ended' in found) return 'ended'
    if (!this.#isAsSeen(found, this.#compared(swap))) {
      return {
        isMoved: true,
        ...(this.#tells && { standing: this.#told(found, [...swap.seen.keys()], false) }),
      }
    }
    const fields = new Map(found.fields)
    const rev = found.rev + swap.steps
    for (const [name, bytes] of swap.set) fields.set(name, { bytes, stamp: rev })
    for (const name of swap.unset) fields.delete(name)
    const { expires, maxAge } = swap.life?.after ?? {
      expires: found.expires.getTime(),
      maxAge: found.maxAge,
    }
    const next = { ...found, rev, fields, expires: new Date(expires), maxAge }
    this.#kept.set(id, next)
    await setImmediate()
    return this.#told(next, [], false)
  }

  #isAsSeen(found: Kept, { rev, isRevFixed, seen, size, life }: Swap): boolean {
    if ((isRevFixed || !this.#hasStamps) && rev !== found.rev) return false
    for (const [name, field] of seen) if (found.fields.get(name)?.stamp !== field?.stamp) return false
    const now = sizeOfFields(bytesIn(found.fields))
    if (now <= size.above || now > size.atMost) return false
    return !life || (life.before.expires === found.expires.getTime() && life.before.maxAge === found.maxAge)
  }

  #told({ rev, expires, maxAge, fields }: Kept, names: readonly string[], exactSize: boolean): Standing {
    const slack = exactSize ? 0 : this.#slack
    return {
      rev,
      size: sizeOfFields(bytesIn(fields)) + slack,
      isSizeBound: slack > 0,
      expires: expires.getTime(),
      maxAge,
      fields: new Map(names.map(name => [name, fields.get(name)])),
    }
  }

  async end(id: SessionId, tombstone: Tombstone, until: Date, rev?: number): Promise<boolean> {
    const found = this.#standing(id)
    if (!found || 'ended' in found || (rev !== undefined && rev !== found.rev)) return false
    this.#kept.set(id, structuredClone({ ...tombstone, expires: until }))
    return true
  }

  async delete(id: SessionId): Promise<void> {
    this.#kept.delete(id)
  }

  #standing(id: SessionId): Kept | KeptTombstone | undefined {
    const found = this.#kept.get(id)
    return found && found.expires.getTime() > Date.now() ? found : undefined
  }
}

function bytesIn(fields: ReadonlyMap<string, StoredField>) {
  return [...fields].map(([name, { bytes }]) => [name, bytes] as const)
}

function tombstoneOf({ expires: _, ...tombstone }: KeptTombstone): Tombstone {
  return structuredClone(tombstone)
}
