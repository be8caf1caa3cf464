import type { Path } from '../language/paths.ts'
import type { Store } from '../store/store.ts'
import type { Target } from './target.ts'

/** What values are made of, and printed by: the package that the store has them from. */
export type Bson = Pick<typeof import('bson'), 'EJSON' | 'ObjectId' | 'UUID'>

/** A store that an operator has named, and what only its database can tell. */
export interface OpenedStore {
  readonly target: Target
  readonly store: Store
  readonly bson: Bson
  /** The fields by which a user's sessions are found, as the database says. */
  userFields(): Promise<Path[]>
  /** How many records there are whose time has come. */
  countExpired(): Promise<number>
  /** Removes them, and tells how many. */
  sweep(): Promise<number>
  close(): Promise<void>
}

/** What is made of a connection, which is closed where that fails: it would keep the process. */
export async function orClosed<T>(close: () => unknown, make: () => T | Promise<T>): Promise<T> {
  try {
    return await make()
  } catch (error) {
    await close()
    throw error
  }
}

/** Milliseconds that a store is waited for. */
export const PATIENCE = 5000
