import type { ReservedName } from '../paths.ts'
import type { BSONInstance } from '../values.ts'
import type { Child, KeyIn, Narrowed, PathTo, ValueAt } from './paths.ts'
import type { Write } from './values.ts'

/*
 * `User` is the path of the field that names a session's user where the compiler has found it out, and `string` where it has
 * not: it finds out none of a call's types where one of them is given, as in `Session<Data>(app, { user: 'user_id' })`.
 */

/** What the option `user` takes. */
export type UserPath<Data, User extends string> = string extends User
  ? string extends keyof Data
    ? string
    : ScalarPath<Data>
  : PathTo<Data, User, Scalar>

/** The argument of `find` and `endAll`: a value of the user's field, or of any possible field if the compiler does not know it. */
export type UserValue<Data, User extends string> = string extends User
  ? string extends keyof Data
    ? Data[keyof Data]
    :
        | ValueOf<Data, ScalarPath<Data>, Exclude<Scalar, number | bigint>>
        | ValueOf<Data, CalledId<ScalarPath<Data>>>
  : ValueOf<Data, User>

/** A type whose values can identify a user. */
type Scalar = string | number | bigint | BSONInstance

type ValueOf<Data, P extends string, Wanted = Scalar> = Write<Narrowed<ValueAt<Data, P>, Wanted>>

/** A number counts as a user's id only under such a name: nearly all numbers in a session count something. */
type CalledId<P extends string> = Extract<
  P,
  `${string}${'user' | 'User' | 'account' | 'Account'}${string}` | `${string}${'id' | 'Id' | 'ID'}`
>

/** The paths of scalars, down to a fixed depth: a recursive type has infinitely many. */
type ScalarPath<T, Before extends string = '', Depth extends unknown[] = []> = T extends readonly unknown[]
  ? never
  : {
      [K in KeyIn<T>]: Before extends ''
        ? K extends ReservedName
          ? never
          : PathAt<Child<T, K>, K, Depth>
        : PathAt<Child<T, K>, `${Before}.${K}`, Depth>
    }[KeyIn<T>]

type PathAt<V, P extends string, Depth extends unknown[]> =
  | ([Narrowed<V, Scalar>] extends [never] ? never : P)
  | (Depth['length'] extends 3 ? never : ScalarPath<V, P, [...Depth, 1]>)
