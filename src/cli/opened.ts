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
  /** The number of expired records that are still stored. */
  countExpired(): Promise<number>
  /** Removes them, and resolves to the number removed. */
  sweep(): Promise<number>
  close(): Promise<void>
}

/** The result of `make`. If it fails, closes the connection, which would keep the process alive. */
export async function orClosed<T>(close: () => unknown, make: () => T | Promise<T>): Promise<T> {
  try {
    return await make()
  } catch (error) {
    await close()
    throw error
  }
}

/** How long to wait for a store, in milliseconds. */
export const PATIENCE = 5000
