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
import { bsonFor } from './bson.ts'
import { decodeFields, decodeFieldsExactly, encodeField, type FieldBytes, sizeOfField } from './fieldbytes.ts'

/** A session as far as a store has told of it. */
export interface Standing {
  readonly rev: number
  /** All fields, bytes of BSON. */
  readonly size: number
  /** Whether the fields may be smaller than `size`, and are no larger. */
  readonly isSizeBound?: boolean
  /** Milliseconds since the epoch. */
  readonly expires: number
  readonly maxAge: number
  /** Each name that was asked for, with what is stored under it. */
  readonly fields: ReadonlyMap<string, StoredField | undefined>
}

export interface StoredField {
  readonly bytes: FieldBytes
  /** The revision that wrote it, from a store that keeps it. */
  readonly stamp?: number
}

/** What becomes of a session by several changes, provided that it is as it was seen. */
export interface Swap {
  /** The revision that all was worked out from. */
  readonly rev: number
  /** Whether it has to be at that revision, because a change asks for it. Without stamps a store always asks. */
  readonly isRevFixed: boolean
  /** What was read: each has to be there as it was, or still not there. */
  readonly seen: ReadonlyMap<string, StoredField | undefined>
  /** Its size has to be more than `above` and at most `atMost`, bytes: by that a change was too large, or was not. */
  readonly size: { readonly above: number; readonly atMost: number }
  /** Present if a change goes by the session's life, or moves it: it has to be as `before`. */
  readonly life?: { readonly before: Life; readonly after: Life }
  /** The life that it has then, as far as it was seen: another change may have moved the end. */
  readonly expected: Life
  /** By how many the revision moves. The fields that are set get the new one as their stamp. */
  readonly steps: number
  readonly set: ReadonlyMap<string, FieldBytes>
  readonly unset: readonly string[]
  /** Bytes of BSON by which the session grows, or shrinks. */
  readonly growth: number
}

export interface Life {
  readonly expires: number
  readonly maxAge: number
}

/** The top-level fields that a change looks at, alters or answers with. */
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

/** A session while changes to it are worked out one after another. */
export class Draft {
  readonly #base: Standing
  readonly #now: Date | undefined
  /** Changes that follow each other share what they do not touch. */
  #fields: Fields
  /** The bytes of each field's value that was looked at last. */
  readonly #bytes = new Map<string, { readonly value: unknown; readonly bytes: FieldBytes }>()
  #steps = 0
  #life: Life
  #isLifeSeen = false
  #isRevFixed = false
  /** At most so much larger than at first. */
  #growth = 0
  #above = Number.NEGATIVE_INFINITY
  #atMost = Number.POSITIVE_INFINITY
  /** Whether an outcome hangs on the exact size, of which only a bound is known. */
  needsExactSize = false

  /** `now`: what `$currentDate` writes; else this process's clock decides. */
  constructor(base: Standing, now?: Date) {
    this.#base = base
    this.#now = now
    this.#life = { expires: base.expires, maxAge: base.maxAge }
    const stored = [...base.fields].flatMap(([name, field]) => (field ? [[name, field.bytes] as const] : []))
    this.#fields = decodeFieldsExactly(stored)
    for (const [name, bytes] of stored) this.#bytes.set(name, { value: this.#fields[name], bytes })
  }

  /** The outcome of one more change. Throws what `update` rejects with; then nothing has changed. */
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

  /** What all changes so far come to; nothing where none was applied. */
  swap(): Swap | undefined {
    if (this.#steps === 0) return undefined
    const { rev, expires, maxAge, fields: seen } = this.#base
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
    }
  }

  /** The bound does until it is reached: encoding all fields for each change would cost more than the changes. */
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
