import type { Binary, Decimal128, Long, ObjectId, UUID } from 'bson'
import type { LoadedSession, SessionHandle } from '../../src/session/types.ts'

/** A session with something of everything, declared as an interface. */
export interface Shop {
  user_id?: ObjectId | null
  name?: string | undefined
  views: number
  big: bigint
  level: 1 | 2 | 3
  role: 'admin' | 'user'
  seen: Date
  verified: boolean
  tags: string[]
  scores: number[]
  cart: Cart
  address?: { city: string; zip?: string } | null
  prefs: Record<string, string>
  counts: { [product: string]: { total: number; days: number[] } }
  byYear: Record<number, { total: number }>
  deep: { a: { b: { c: { d: { e: number; f?: string } } } } }
  payment: { kind: 'card'; last4: string } | { kind: 'bill'; days: number }
  folder: Folder
  json: Json
  anything: unknown
  key: Uint8Array
  binary: Binary
  long: Long
  price: Decimal128
  device: UUID
  pair: [string, number]
  orders: { id: number; set: number; by: Record<string, number> }[]
}

export interface Cart {
  lines: Line[]
  total: number
  note?: string
}

export interface Line {
  sku: string
  qty: number
  gift?: { text: string }
  labels: string[]
}

export interface Folder {
  name: string
  size?: number
  folders: Folder[]
}

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json }

/** As a visitor's middleware has them. Nothing here runs: the compiler is the test. */
export declare const handle: SessionHandle<Shop>
export declare const session: LoadedSession<Shop>
export declare const text: string
export declare const index: number

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** `is<Expected>()(value)` compiles if that is exactly the value's type. */
export declare function is<Expected>(): <Actual>(
  value: Actual,
  ...difference: Equal<Actual, Expected> extends true ? [] : [{ expected: Expected; actual: Actual }]
) => void
