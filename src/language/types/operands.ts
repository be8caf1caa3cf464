import type { Comparator, PushModifiers } from '../change.ts'
import type { PathLike } from '../paths.ts'
import type { MaybeTouched, Merge, PathTo, Touched, ValueAt } from './paths.ts'
import type { Fault, Leaf, Numeric, Ordered, Write } from './values.ts'

// The types of the arguments of commands and guards, other than paths.

export type List = readonly unknown[]

/** The elements of the arrays among `V`. */
export type Element<V> = unknown extends V ? V : V extends readonly (infer E)[] ? E : never

/** What a guard compares with: the field's value or, if it is an array, an element of it. */
export type Comparable<V> = unknown extends V ? V : V | Element<V>

/** What a field of an array's elements is compared with. */
export type FieldValue<V, F extends PathLike> = Comparable<ValueAt<Element<V>, F>>

export type OrderedIn<V> = unknown extends V ? V : Extract<V, Ordered>

/** What can be added to a number, or multiplied with it. BSON's own number types stay as they are. */
export type Factor<V> =
  | number
  | bigint
  | (unknown extends V ? unknown : Exclude<Extract<V, Numeric>, number | bigint>)

type Ordering = '<' | '<=' | '>' | '>='

/** `C`, or those that do for such a value. (Not `C`'s constraint, which would be found out for all paths there are.) */
export type ComparatorFor<V, C extends Comparator, All extends Comparator> = [C] extends [
  ComparatorOf<V, All>,
]
  ? C
  : ComparatorOf<V, All>

type ComparatorOf<V, All extends Comparator> = [OrderedIn<V>] extends [never] ? Exclude<All, Ordering> : All

export type Operand<V, C extends Comparator> = C extends 'exists'
  ? boolean
  : C extends 'in'
    ? readonly Write<V>[]
    : C extends Ordering
      ? Write<OrderedIn<V>>
      : Write<V>

/** The modifiers of `$push`. MongoDB applies them in the order `position`, `sort`, `slice`. */
export interface Modifiers<E> extends Omit<PushModifiers, 'sort'> {
  /** `1` or `-1` for the elements themselves, or by fields of elements that are objects. */
  readonly sort?: 1 | -1 | SortOf<E>
}

type SortOf<E> = unknown extends E
  ? PushModifiers['sort'] & object
  : E extends Leaf | List
    ? never
    : { readonly [K in (keyof E & string) | `${keyof E & string}.${string}`]?: 1 | -1 }

/** What `set` takes for several fields: the names as they are given in `F`, with values that they can hold. */
export type FieldValues<Data, F> = F extends List
  ? Fault<'A path needs a value: set(path, value)'>
  : [WrongName<Data, F>] extends [never]
    ? { readonly [K in keyof F]: Write<ValueAt<Data, K & string>> }
    : Fault<`No such path in the session: ${WrongName<Data, F>}`> & {
        readonly [K in keyof F as Exclude<K, WrongName<Data, F>>]: Write<ValueAt<Data, K & string>>
      }

type WrongName<Data, F> = { [K in keyof F & string]: PathTo<Data, K> extends K ? never : K }[keyof F & string]

export type TouchedFields<Data, F> = Merge<
  Touched<Data, Exclude<keyof F & string, OptionalKey<F>>>,
  MaybeTouched<Data, OptionalKey<F> & string>
>

type OptionalKey<F> = { [K in keyof F]-?: Record<never, never> extends Pick<F, K> ? K : never }[keyof F]

/** Paths are names too; these are for completions. */
export type FieldNames<Data> = { readonly [K in keyof Data]?: unknown } | object
