import { neededPackage } from '../packages.ts'
import { requireNative } from '../require.cjs'

/** What the store asks of a database of the package `lmdb`, with keys and values as bytes. */
export interface Database {
  getBinary(key: Buffer): Buffer | undefined
  getKeys(range: { start: Buffer; end?: Buffer; limit?: number }): { readonly asArray: Buffer[] }
  /** Within a transaction, at once. */
  put(key: Buffer, value: Uint8Array): unknown
  remove(key: Buffer): unknown
  /** Commits when `work` returns, and rolls back when it throws. */
  transactionSync<T>(work: () => T): T
  getWriteTxnId(): number
  /** Has the next read see what others have written. */
  resetReadTxn(): void
  /** Lets go of what processes held that are no more. */
  readerCheck(): number
  readerList(): string
  getStats(): Stats
  /** At once, where nothing is under way. */
  close(): Promise<void>
}

export interface DatabaseClass {
  new (name: null, options: object): Database
  readonly prototype: Database
}

export interface TreeStats {
  readonly treeBranchPageCount: number
  readonly treeLeafPageCount: number
  readonly overflowPages: number
}

/** As of the last transaction. */
interface Stats {
  readonly pageSize: number
  readonly lastPageNumber: number
  /** Of all that is stored, and of the list of free pages. */
  readonly root: TreeStats
  readonly free: TreeStats
}

interface LMDB {
  /** Opens the file; an instance of what it returns is its database. */
  openAsClass(options: object): DatabaseClass
}

/** Required when a store is made, since nobody else needs it. */
export function loadLMDB(): LMDB {
  return neededPackage('lmdbStore', 'lmdb', () => requireNative('lmdb') as LMDB)
}
