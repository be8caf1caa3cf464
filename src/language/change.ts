import type { Path } from './paths.ts'

/** How a stored value is compared with a given one; `exists` compares with `true` or `false`. */
export type Comparator = '=' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | 'exists'

/** A condition on one path, decided in the same atomic step as the operations it guards, as a MongoDB filter is. */
export interface Guard {
  readonly path: Path
  readonly comparator: Comparator
  readonly arg: unknown
}

/** The modifiers of `$push`. Applied in MongoDB's order: insert at `position`, then `sort`, then `slice`. */
export interface PushModifiers {
  /** `-100` keeps the last 100 elements, `100` the first. */
  readonly slice?: number
  /** `1` or `-1` for the elements themselves, or by fields of elements that are objects. */
  readonly sort?: 1 | -1 | { readonly [field: string]: 1 | -1 }
  /** Where to insert; negative counts from the end. */
  readonly position?: number
}

/** One MongoDB operator on one path. Arguments are checked literals. */
export type Operation =
  | { readonly op: '$set'; readonly path: Path; readonly arg: unknown }
  | { readonly op: '$unset'; readonly path: Path }
  | { readonly op: '$rename'; readonly path: Path; readonly to: Path }
  | { readonly op: '$inc' | '$mul'; readonly path: Path; readonly arg: unknown }
  | { readonly op: '$min' | '$max'; readonly path: Path; readonly arg: unknown }
  | { readonly op: '$currentDate'; readonly path: Path }
  | {
      readonly op: '$push'
      readonly path: Path
      readonly arg: readonly unknown[]
      readonly modifiers: PushModifiers
    }
  | { readonly op: '$addToSet'; readonly path: Path; readonly arg: readonly unknown[] }
  | { readonly op: '$pop'; readonly path: Path; readonly arg: 1 | -1 }
  | {
      readonly op: '$pull'
      readonly path: Path
      /** The field of the elements that is compared. Without it, the elements themselves are compared. */
      readonly field?: Path
      /** `exists` only with `field`. */
      readonly comparator: Comparator
      readonly arg: unknown
    }
  | { readonly op: '$pullAll'; readonly path: Path; readonly arg: readonly unknown[] }

/** How `pull` compares the elements of an array themselves with a value. */
export type PullComparator = Exclude<Comparator, 'exists'>

/** A folded chain: applied whole, in one atomic step, or not at all. No two of its operations overlap. */
export interface Change {
  /** All must hold; otherwise nothing is written. */
  readonly guards: readonly Guard[]
  readonly operations: readonly Operation[]
  /**
   * The new end of the session's life, never later than its absolute limit. Without `maxAge` it never moves the end back: another
   * request may have extended the session further meanwhile, or have a clock that is ahead.
   */
  readonly expires?: Date
  /** The session's own idle lifetime from now on, milliseconds. */
  readonly maxAge?: number
  /**
   * With `expires` and without `maxAge`: if the session's `maxAge` is no longer this one, `expires` is not changed, and the outcome
   * has the session's `maxAge`.
   */
  readonly whileMaxAge?: number
  /** Applied only while the record is at this revision; otherwise it is refused, as by a guard. */
  readonly rev?: number
  /** The maximum size of the fields after the change, in bytes of BSON. A change that does not make them larger always works. */
  readonly maxSize?: number
}
