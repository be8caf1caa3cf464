import type { PathLike, ReservedName } from '../paths.ts'
import type { Fault, Leaf, Read } from './values.ts'

/*
 * Paths are checked by walking the one that was given, never by listing all that a type has: a session of
 * hundreds of fields, or a recursive one, then costs a command no more than a small one. Paths are listed
 * only where one is wrong, for the message and for an editor's completions, and only those near it.
 */

/** The value at `P` as the session's type declares it, without `undefined`; `never` where there is no such path. */
export type ValueAt<Data, P extends PathLike> =
  At<Data, Dotted<P>> extends infer V ? Exclude<V, undefined> : never

/** The value at `P` as it is read. */
export type ReadAt<Data, P extends PathLike> = Read<ValueAt<Data, P>>

/**
 * `P` if it is a path in `Data` whose value may be a `Wanted`. Otherwise the paths near it that would do, or a sentence that
 * says what is wrong: it is what the compiler then shows. (Not distributive, or a list of parts would be inferred as an array,
 * whose parts nobody knows.)
 */
export type PathTo<Data, P extends PathLike, Wanted = unknown> = [FaultOf<Data, P, Wanted>] extends [never]
  ? P
  : FaultOf<Data, P, Wanted>

/** As `PathTo`, below what is no session: an element's fields may have any names. */
export type PathBelow<Element, P extends PathLike> = [FaultOf<Element, P, unknown, never>] extends [never]
  ? P
  : FaultOf<Element, P, unknown, never>

/** `P` if it is a path in `Data` that may hold a `Value`. */
export type PathFor<Data, P extends PathLike, Value> = [PlaceFaultOf<Data, P, Value>] extends [never]
  ? P
  : PlaceFaultOf<Data, P, Value>

/** `P` if what is there may be absent, so that removing it leaves the session what its type says. */
export type RemovablePath<Data, P extends PathLike> = [RemovalFaultOf<Data, P>] extends [never]
  ? P
  : RemovalFaultOf<Data, P>

/** `Data` cut down to the paths `P`, with what is a `Wanted` at their ends. */
export type Touched<Data, P extends PathLike, Wanted = unknown> = Tree<Data, Dotted<P>, Wanted>

/** As `Touched`, for commands that create nothing: what they name may not be there. */
export type MaybeTouched<Data, P extends PathLike, Wanted = unknown> = LooseTree<Data, Dotted<P>, Wanted>

/** What a command touched, added to what those before it did. */
export type Merge<A, B> = [A, B] extends [infer C, infer D]
  ? {
      [K in keyof (C & D)]: K extends keyof C & keyof D
        ? [C[K], D[K]] extends [D[K], C[K]]
          ? D[K]
          : Merge<Exclude<C[K], undefined>, Exclude<D[K], undefined>>
        : (C & D)[K]
    }
  : never

/** Parts joined by dots, as a path in a text; `never` where a part of a list holds a dot. */
type Dotted<P extends PathLike> = P extends readonly [infer Part extends string | number, ...infer Rest]
  ? Part extends `${string}.${string}`
    ? never
    : Rest extends readonly [string | number, ...(string | number)[]]
      ? `${Part}.${Dotted<Rest>}`
      : `${Part}`
  : P extends string
    ? P
    : string

type At<T, P extends string> = P extends `${infer Part}.${infer Rest}`
  ? At<Child<T, Part>, Rest>
  : Child<T, P>

/** Every member of a union is looked into; those that cannot have `K` add nothing. */
export type Child<T, K extends string> = unknown extends T
  ? T
  : T extends Leaf
    ? never
    : K extends keyof T
      ? T extends readonly unknown[]
        ? ElementAt<T, K>
        : T[K]
      : K extends `${infer N extends number}`
        ? N extends IndexOf<T, K, N>
          ? T[N]
          : never
        : never

/** Of an array, only elements have paths, not `length` or its methods. */
type ElementAt<T extends readonly unknown[], K extends keyof T> = K extends `${number}` ? T[K] : never

/** Which numbers a part may stand for: `01` is another key than 1, and no array has an element `-1`. */
type IndexOf<T, K extends string, N extends number> = `${N}` extends K
  ? [K, T] extends [`-${string}`, readonly unknown[]]
    ? never
    : keyof T
  : never

type FaultOf<Data, P extends PathLike, Wanted, Reserved = ReservedName> = P extends string
  ? IsVague<P> extends true
    ? Vague<Data, 'A path made of strings not known here: give its parts, as in ["prefs", key]'>
    : IsPath<Data, P, Wanted, Reserved> extends true
      ? never
      : OrNoSuchPath<Near<Data, P, Wanted>, Reserved>
  : number extends P['length']
    ? Vague<Data, 'A list of unknown length: give the parts one by one, as in ["prefs", key]'>
    : IsPath<Data, Dotted<P>, Wanted, Reserved> extends true
      ? never
      : NoSuchPath

type PlaceFaultOf<Data, P extends PathLike, Value> = [FaultOf<Data, P, unknown>] extends [never]
  ? unknown extends Value
    ? never
    : [Value] extends [ValueAt<Data, P>]
      ? never
      : Fault<'The values at the two paths are of different types'>
  : FaultOf<Data, P, unknown>

type RemovalFaultOf<Data, P extends PathLike> = P extends PathLike
  ? [FaultOf<Data, P, unknown>] extends [never]
    ? IsRemovable<Data, Dotted<P>> extends true
      ? never
      : Fault<'Required in its object, so it cannot be removed: declare it optional, or remove the object'>
    : FaultOf<Data, P, unknown>
  : never

/** (Built anew, so that the paths themselves are shown, not the name of the type that lists them.) */
type OrNoSuchPath<Paths extends string, Reserved> = [Paths] extends [never]
  ? NoSuchPath
  : `=${Paths}` extends infer Listed
    ? Listed extends `=${infer Path}`
      ? Head<Path> extends Reserved
        ? never
        : Path
      : never
    : never

type NoSuchPath = Fault<'No such path in the session, or none that this command applies to'>

type IsPath<Data, P extends string, Wanted, Reserved> =
  Head<P> extends Reserved ? false : [Narrowed<At<Data, P>, Wanted>] extends [never] ? false : true

/** Those of the types in `V` that are a `Wanted`. What nothing is known about may be anything. */
export type Narrowed<V, Wanted> = unknown extends V
  ? [Wanted] extends [never]
    ? never
    : V
  : Exclude<Extract<V, Wanted>, undefined>

/** Whether a part is any string: written as a text, its dots would be taken for more parts. */
type IsVague<P extends string> = P extends `${infer Part}.${infer Rest}`
  ? string extends Part
    ? true
    : IsVague<Rest>
  : string extends P
    ? true
    : false

/** A path that nobody can check is no fault where every field is allowed. */
type Vague<Data, Why extends string> = string extends keyof Data
  ? unknown extends Data[string]
    ? never
    : Fault<Why>
  : Fault<Why>

type IsRemovable<T, P extends string> = P extends `${infer Part}.${infer Rest}`
  ? Rest extends `${string}.${string}`
    ? IsRemovable<Child<T, Part>, Rest>
    : [AbsenceOf<Child<T, Part>, Rest>] extends [never]
      ? false
      : true
  : true

/** An element that is removed leaves `null` in its place, as MongoDB's `$unset` does. */
type AbsenceOf<T, K extends string> = unknown extends T
  ? T
  : T extends Leaf
    ? never
    : T extends readonly unknown[]
      ? Extract<T[number], null>
      : IsPattern<K> extends true
        ? T
        : T extends { readonly [Required in K]: unknown }
          ? never
          : T

/** Whether a key is one of many, such as `string`: a field under it is never required. */
type IsPattern<K extends string> = Record<never, never> extends Record<K, unknown> ? true : false

/** (Inferred only to lose its name, so that a hover shows what is in it.) */
type Tree<T, P extends string, Wanted> =
  Head<P> extends infer H extends string
    ? { [K in H]: Branch<Child<T, K>, Below<P, K>, Wanted, Tree<Child<T, K>, Below<P, K>, Wanted>> }
    : never

type LooseTree<T, P extends string, Wanted> =
  Head<P> extends infer H extends string
    ? { [K in H]?: Branch<Child<T, K>, Below<P, K>, Wanted, LooseTree<Child<T, K>, Below<P, K>, Wanted>> }
    : never

/** Of an array, nothing is answered alone: stores answer with all of it. */
type Branch<V, P extends string, Wanted, Deeper> = [P] extends [never]
  ? Read<Narrowed<V, Wanted>>
  : [Narrowed<V, readonly unknown[]>] extends [never]
    ? Deeper
    : Read<Narrowed<V, readonly unknown[]>>

type Head<P extends string> = P extends `${infer Part}.${string}` ? Part : P

type Below<P extends string, K extends string> = P extends `${K}.${infer Rest}` ? Rest : never

type Near<T, P extends string, Wanted, Before extends string = ''> = P extends `${infer Part}.${infer Rest}`
  ? [Child<T, Part>] extends [never]
    ? Choice<T, Wanted, Before>
    : Near<Child<T, Part>, Rest, Wanted, `${Before}${Part}.`>
  : Choice<T, Wanted, Before>

type Choice<T, Wanted, Before extends string> = {
  [K in KeyIn<T>]:
    | Named<Child<T, K>, Wanted, `${Before}${K}`>
    | { [L in KeyIn<Child<T, K>>]: Named<Child<Child<T, K>, L>, Wanted, `${Before}${K}.${L}`> }[KeyIn<
        Child<T, K>
      >]
}[KeyIn<T>]

type Named<V, Wanted, Name> = [Narrowed<V, Wanted>] extends [never] ? never : Name

/** The keys that have names: index signatures have none. Of an array, its first element stands for all. */
export type KeyIn<T> = unknown extends T
  ? never
  : T extends Leaf
    ? never
    : T extends readonly unknown[]
      ? '0'
      : NamedKey<keyof { [K in keyof T as K extends string | number ? `${K}` : never]: 1 }>

type NamedKey<K> = K extends string ? (IsPattern<K> extends true ? never : K) : never
