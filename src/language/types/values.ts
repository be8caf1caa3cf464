import type { ReservedName } from '../paths.ts'
import type { BSONInstance } from '../values.ts'

/** A session whose type the app has not declared: fields of any name and type. */
export interface Untyped {
  // biome-ignore lint/suspicious/noExplicitAny: whoever gives no type has chosen this
  [field: string]: any
}

/** A type that nothing has, for the compiler to show. Not a string, or editors would propose it as a path. */
export interface Fault<Why extends string> {
  readonly [why]: Why
}

declare const why: unique symbol

/** What `inc` and `mul` apply to. */
export type Numeric = number | bigint | (BSONInstance & { readonly _bsontype: 'Long' | 'Decimal128' })

/** What `<` and its like compare, and `min` and `max` apply to. */
export type Ordered = number | bigint | string | Date | BSONInstance

/** A value without fields of its own. */
export type Leaf = Primitive | Date | Uint8Array | BSONInstance | ((...args: never) => unknown)

type Primitive = string | number | boolean | bigint | symbol | null | undefined

/** BSON's 64-bit integer, as far as reading one needs it; the class is `Long` of the package `bson`. */
export interface Int64 extends BSONInstance {
  readonly _bsontype: 'Long'
  toBigInt(): bigint
  toNumber(): number
}

/** Bytes as they are read; the class is `Binary` of the package `bson`. */
export interface Bytes extends BSONInstance {
  readonly _bsontype: 'Binary'
  readonly buffer: Uint8Array
  length(): number
}

/**
 * A value as it is read: deeply read-only, and of the type that MongoDB's driver returns. Bytes come back as
 * `Binary`; a `bigint` comes back as a number, or as a `Long` where a number could not hold it exactly.
 */
export type Read<T> = unknown extends T
  ? T
  : T extends bigint
    ? number | Int64
    : T extends Uint8Array
      ? Bytes
      : T extends Leaf
        ? T
        : T extends readonly unknown[]
          ? number extends T['length']
            ? readonly Read<T[number]>[]
            : { readonly [I in keyof T]: Read<T[I]> }
          : { readonly [K in keyof T]: Read<T[K]> }

/** A value as it is read, but mutable. */
export type Plain<T> = unknown extends T
  ? T
  : T extends Leaf
    ? Read<T>
    : T extends readonly unknown[]
      ? number extends T['length']
        ? Plain<T[number]>[]
        : { -readonly [I in keyof T]: Plain<T[I]> }
      : { -readonly [K in keyof T]: Plain<T[K]> }

/** A value as it may be passed: everything that is stored as a `T`, read-only or not, also a value that was read. */
export type Write<T> = unknown extends T
  ? T
  : T extends bigint | { readonly _bsontype: 'Long' }
    ? T | bigint | Int64
    : T extends Uint8Array | { readonly _bsontype: 'Binary' }
      ? T | Uint8Array | Bytes
      : T extends Leaf
        ? T
        : T extends readonly unknown[]
          ? number extends T['length']
            ? readonly Write<T[number]>[]
            : { readonly [I in keyof T]: Write<T[I]> }
          : { readonly [K in keyof T]: Write<Exclude<T[K], undefined>> }

/**
 * `T` if it can be a session's type. Otherwise `T` with a sentence in place of each field that a session cannot hold, which the
 * compiler shows. A class with only fields looks like a plain object to the compiler; the check at the call refuses it.
 */
export type ValidData<T> = {
  [K in keyof T]: K extends ReservedName
    ? Fault<`${K} cannot be a field: the session's own names and those that begin with _ are reserved`>
    : K extends UnusableKey
      ? Fault<KeyRule>
      : ValidField<T, K>
}

type ValidFields<T> = { [K in keyof T]: K extends UnusableKey ? Fault<KeyRule> : ValidField<T, K> }

type UnusableKey =
  | symbol
  | ''
  | `$${string}`
  | `${string}.${string}`
  | '__proto__'
  | 'constructor'
  | 'prototype'
  | '_bsontype'

type KeyRule =
  'A key is a string that is not empty, holds no dot, does not begin with $ and is not part of a prototype'

/** An optional field may be declared with `undefined`, as long as it need not be there. */
type ValidField<T, K extends keyof T> =
  Record<never, never> extends Pick<T, K>
    ? ValidValue<Exclude<T[K], undefined>> | undefined
    : ValidValue<T[K]>

type ValidValue<T> = unknown extends T
  ? T
  : T extends undefined
    ? Fault<'A session cannot hold undefined: make the field optional, or use null'>
    : T extends symbol
      ? Fault<'A session cannot hold a symbol'>
      : T extends (...args: never) => unknown
        ? Fault<'A session cannot hold a function, nor an object that has methods'>
        : T extends Uint8Array
          ? // Before the others: TypeScript before 5.7 takes bytes for an ArrayBuffer.
            T
          : T extends Foreign
            ? Fault<'A session cannot hold this: it takes plain objects and arrays, primitives, dates, bytes and BSON types'>
            : T extends BSONInstance
              ? ValidBSON<T>
              : T extends Leaf
                ? T
                : T extends readonly unknown[]
                  ? number extends T['length']
                    ? readonly ValidValue<T[number]>[]
                    : { [I in keyof T]: ValidValue<T[I]> }
                  : ValidFields<T>

type ValidBSON<T extends BSONInstance> = T['_bsontype'] extends 'ObjectId' | 'Long' | 'Decimal128' | 'Binary'
  ? T
  : Fault<'Of BSON types, a session holds ObjectId, Long, Decimal128, Binary and UUID'>

type Foreign =
  | ReadonlyMap<unknown, unknown>
  | ReadonlySet<unknown>
  | WeakMap<object, unknown>
  | PromiseLike<unknown>
  | RegExp
  | ArrayBuffer
