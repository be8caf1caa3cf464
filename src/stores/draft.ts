import { SessionTooLargeError } from '../errors.ts'
import { excerpt } from '../language/excerpt.ts'
import { touchedPaths } from '../language/fold.ts'
import { holds } from '../language/guard.ts'
import { applied } from '../language/operators.ts'
import { type Path, partsOf } from '../language/paths.ts'
import { growthOf } from '../language/size.ts'
import type { Fields } from '../language/values.ts'
import type { Update } from '../store/joining.ts'
import { lifeAfter, otherLifetime } from '../store/record.ts'
import type { Outcome } from '../store/store.ts'
import { bsonFor, sound } from './bson.ts'
import { decodeFields, decodeFieldsExactly, encodeField, type FieldBytes, sizeOfField } from './fieldbytes.ts'

/** What a store has read of a session. */
export interface Standing {
  readonly rev: number
  /** The size of all fields, in bytes of BSON. */
  readonly size: number
  /** Whether `size` is only an upper bound. */
  readonly isSizeBound?: boolean
  /** Milliseconds since the epoch. */
  readonly expires: number
  readonly maxAge: number
  /** Each name that was asked for, with the stored field; `undefined` for an absent field. */
  readonly fields: ReadonlyMap<string, StoredField | undefined>
}

export interface StoredField {
  readonly bytes: FieldBytes
  /** The revision that wrote the field, if the store keeps it. */
  readonly stamp?: number
}

/** The result of several changes, to be written only if the session is still as it was read. */
export interface Swap {
  /** The revision from which the changes were computed. */
  readonly rev: number
  /** Whether the session must still be at `rev`, because a change asks for it. A store without stamps must always check `rev`. */
  readonly isRevFixed: boolean
  /** The fields that were read. Each must be unchanged, or still absent. */
  readonly seen: ReadonlyMap<string, StoredField | undefined>
  /** The session's size must be more than `above` and at most `atMost` bytes: outside, `maxSize` would be decided differently. */
  readonly size: { readonly above: number; readonly atMost: number }
  /** Present if a change depends on the session's life or changes it. The stored life must equal `before`. */
  readonly life?: { readonly before: Life; readonly after: Life }
  /** The session's life after the swap, as far as known: another change may have moved `expires`. */
  readonly expected: Life
  /** By how much `rev` grows. The fields in `set` get the new revision as their stamp. */
  readonly steps: number
  readonly set: ReadonlyMap<string, FieldBytes>
  readonly unset: readonly string[]
  /** By how many bytes of BSON the session grows; negative if it shrinks. */
  readonly growth: number
  /** The session's size after the swap, if the size at `rev` is known exactly. */
  readonly exactSize?: number
}

export interface Life {
  readonly expires: number
  readonly maxAge: number
}

/** The top-level fields that a change reads, writes or answers with. */
export function namesIn({ change, answer }: Update): Set<string> {
  const names = new Set<string>()
  for (const { path } of change.guards) names.add(nameOf(path))
  for (const path of touchedPaths(change.operations)) names.add(nameOf(path))
  for (const path of answer?.paths ?? []) names.add(nameOf(path))
  return names
}

function nameOf(path: Path): string {
  return partsOf(path)[0] as string
}

/** A draft; `undefined` if a field in it is damaged. Then the session is absent, as when it is loaded. */
export function draftOf(base: Standing, now?: Date): Draft | undefined {
  return sound(() => new Draft(base, now))
}

/** A session in memory, to which changes are applied one after another. */
export class Draft {
  readonly #base: Standing
  readonly #now: Date | undefined
  /** Replaced by each change; unchanged parts are shared. */
  #fields: Fields
  /** The bytes of each field, with the value that they encode. */
  readonly #bytes = new Map<string, { readonly value: unknown; readonly bytes: FieldBytes }>()
  #steps = 0
  #life: Life
  #isLifeSeen = false
  #isRevFixed = false
  /** The most bytes that the changes so far can have added. */
  #growth = 0
  #above = Number.NEGATIVE_INFINITY
  #atMost = Number.POSITIVE_INFINITY
  /** Whether an outcome depends on the exact size, and only a bound is known. */
  needsExactSize = false

  /** `now`: the date that `$currentDate` writes. @default the current time of this process */
  constructor(base: Standing, now?: Date) {
    this.#base = base
    this.#now = now
    this.#life = { expires: base.expires, maxAge: base.maxAge }
    const stored = [...base.fields].flatMap(([name, field]) => (field ? [[name, field.bytes] as const] : []))
    this.#fields = decodeFieldsExactly(stored)
    for (const [name, bytes] of stored) this.#bytes.set(name, { value: this.#fields[name], bytes })
  }

  /** Applies one more change, and returns its outcome. Throws the error of `update`; then nothing has changed. */
  apply({ change, answer }: Update): Outcome {
    const rev = this.#base.rev + this.#steps
    if (change.rev !== undefined) {
      this.#isRevFixed = true
      if (change.rev !== rev) return 'refused'
    }
    const before = this.#fields
    if (change.guards.length > 0 && !holds(change.guards, before)) return 'refused'
    const after = applied(before, change.operations, {
      double: number => new (bsonFor('This store').Double)(number),
      ...(this.#now && { now: this.#now }),
    })
    this.#assertFits(before, after, change)
    if (change.expires || change.maxAge !== undefined || change.whileMaxAge !== undefined)
      this.#isLifeSeen = true
    const other = otherLifetime(change, this.#life.maxAge)
    this.#life = lifeAfter(this.#life, change)
    this.#fields = after
    this.#steps++
    if (!answer) return { ...other }
    const fields = this.#answerOf(answer.when === 'before' ? before : after, answer.paths)
    return { rev: rev + 1, fields, ...other }
  }

  /** The swap for all changes so far; `undefined` if none was applied. */
  swap(): Swap | undefined {
    if (this.#steps === 0) return undefined
    const { rev, size, isSizeBound, expires, maxAge, fields: seen } = this.#base
    const set = new Map<string, FieldBytes>()
    const unset: string[] = []
    let growth = 0
    for (const [name, stored] of seen) {
      const bytes = this.#bytesOf(name, this.#fields)
      if (bytes === stored?.bytes) continue
      if (bytes) set.set(name, bytes)
      else unset.push(name)
      growth += (bytes ? sizeOfField(name, bytes) : 0) - (stored ? sizeOfField(name, stored.bytes) : 0)
    }
    return {
      rev,
      isRevFixed: this.#isRevFixed,
      seen,
      size: { above: this.#above, atMost: this.#atMost },
      expected: this.#life,
      ...(this.#isLifeSeen && { life: { before: { expires, maxAge }, after: this.#life } }),
      steps: this.#steps,
      set,
      unset,
      growth,
      ...(!isSizeBound && { exactSize: size + growth }),
    }
  }

  /** Uses the bound until it is reached: encoding all fields for each change would cost more than the change. */
  #assertFits(before: Fields, after: Fields, { operations, maxSize }: Update['change']): void {
    if (after === before) return
    const growth = operations.reduce((sum, operation) => sum + growthOf(operation), 0)
    if (maxSize === undefined || this.#base.size + this.#growth + growth <= maxSize) {
      this.#growth += growth
      if (maxSize !== undefined) this.#atMost = Math.min(this.#atMost, maxSize - this.#growth)
      return
    }
    if (this.#base.isSizeBound) this.needsExactSize = true
    const former = this.#growthOf(before)
    const exact = this.#growthOf(after)
    if (exact > former) {
      if (this.#base.size + exact > maxSize) {
        this.#above = Math.max(this.#above, maxSize - exact)
        throw new SessionTooLargeError()
      }
      this.#atMost = Math.min(this.#atMost, maxSize - exact)
    }
    this.#growth = exact
  }

  #growthOf(fields: Fields): number {
    let growth = 0
    for (const [name, stored] of this.#base.fields) {
      const bytes = this.#bytesOf(name, fields)
      growth += (bytes ? sizeOfField(name, bytes) : 0) - (stored ? sizeOfField(name, stored.bytes) : 0)
    }
    return growth
  }

  #answerOf(fields: Fields, paths: readonly Path[]): Fields {
    const named: [string, FieldBytes][] = []
    for (const name of new Set(paths.map(nameOf))) {
      const bytes = this.#bytesOf(name, fields)
      if (bytes) named.push([name, bytes])
    }
    return excerpt(decodeFields(named), paths)
  }

  #bytesOf(name: string, fields: Fields): FieldBytes | undefined {
    const value = Object.hasOwn(fields, name) ? fields[name] : undefined
    if (value === undefined) return undefined
    const known = this.#bytes.get(name)
    if (known && Object.is(known.value, value)) return known.bytes
    const bytes = encodeField(value)
    this.#bytes.set(name, { value, bytes })
    return bytes
  }
}
