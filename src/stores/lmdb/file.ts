import { closeSync, fstatSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import { ConfigurationError, SessionError, StoreUnavailableError } from '../../errors.ts'
import { notOpened, notRead, notWritten } from './errors.ts'
import { Group } from './group.ts'
import { everything, META, type Range } from './keys.ts'
import { bytesOfMeta, type Durability, type Meta, metaOf } from './meta.ts'
import { Mutex } from './mutex.ts'
import { flush, openLMDB, ownName } from './open.ts'
import { cutShort } from './openable.ts'
import type { Database } from './package.ts'
import { Space } from './space.ts'

/** Of addresses, not of memory: while the file is smaller it need not be mapped anew. */
const MAP_SIZE = 4 * 2 ** 30

/** One LMDB file, opened: reads of its present state, and writes in transactions. */
export class SessionFile {
  readonly #path: string
  readonly #mutex: Mutex
  readonly #db: Database
  readonly #fd: number
  readonly #space: Space
  readonly #group: Group
  /** What lets go of what has been opened, in the order in which it was. */
  readonly #releases: (() => void)[] = []
  #closing: Promise<void> | undefined
  #isRemoved = false
  #isRemoving = true
  #lastTransaction = 0
  /** As it is until somebody else writes. */
  #meta: Meta | undefined

  /** Throws `ConfigurationError` if the file is none of ours, cannot be opened, or is in use with another durability. */
  constructor(path: string, durability: Durability) {
    if (!isMainThread) {
      throw new ConfigurationError(
        'lmdbStore is for the main thread: a worker thread that is ended while it writes would lock the file for all',
      )
    }
    // A flush is worth waiting for whoever else comes in this turn of the event loop; otherwise a call is not kept waiting.
    const defer = durability === 'disk' ? setImmediate : process.nextTick
    this.#group = new Group(work => this.#transaction(() => this.#work(work)), defer)
    try {
      this.#path = ownName(path)
      this.#mutex = new Mutex(this.#path)
      this.#releases.push(() => this.#mutex.close())
      const noSync = durability === 'process'
      this.#db = this.#mutex.run(() => openLMDB(this.#path, { mapSize: MAP_SIZE, noSync }))
      this.#releases.push(() => this.#mutex.run(() => void this.#db.close()))
      this.#fd = openSync(this.#path, 'r+')
      this.#releases.push(() => closeSync(this.#fd))
      this.#space = new Space(this.#db, this.#fd)
      this.#assertWhole()
      this.#settle(durability)
      if (durability === 'disk') {
        this.#mutex.flush()
        flush(dirname(this.#path))
      }
    } catch (error) {
      this.#release()
      throw notOpened(error, path)
    }
  }

  get isClosed(): boolean {
    return this.#closing !== undefined
  }

  /** Within a transaction. */
  get meta(): Meta {
    this.#meta ??= this.#metaOf(this.#db.getBinary(META))
    return this.#meta
  }

  setMeta(meta: Meta): void {
    this.put(META, bytesOfMeta(meta))
    this.#meta = meta
  }

  readMeta(): Meta {
    return this.#metaOf(this.read(META))
  }

  #metaOf(bytes: Buffer | undefined): Meta {
    if (!bytes) throw new ConfigurationError(`${this.#path} holds something else than sessions`)
    return metaOf(bytes, this.#path)
  }

  /** LMDB would end the process where it reads beyond the end of its file. */
  #assertWhole(): void {
    const { lastPageNumber, pageSize } = this.#db.getStats()
    if (fstatSync(this.#fd).size < (lastPageNumber + 1) * pageSize) {
      throw cutShort(this.#path)
    }
  }

  #settle(durability: Durability): void {
    // Reading is also what lets other processes see that this one uses the file.
    this.read(META)
    this.#transaction(() => {
      const isNew = this.getKeys(everything, 1).length === 0
      const meta = isNew ? { durability, indexes: [] } : this.meta
      if (!isNew && meta.durability === durability) return
      if (!isNew && this.#isShared()) {
        throw new ConfigurationError(
          `${this.#path} is in use with durability '${meta.durability}': all that use it at a time need the same`,
        )
      }
      this.setMeta({ ...meta, durability })
    })
  }

  /** Whether another store, of this process or of another, has the file open: each that has read is among the readers. */
  #isShared(): boolean {
    const pids = this.#db.readerList().match(/^ *\d+/gm) ?? []
    return pids.length > 1
  }

  /** What is stored now, by whatever process. */
  read(key: Buffer): Buffer | undefined {
    return this.#reading(() => this.#db.getBinary(key))
  }

  readKeys(range: Range, limit: number): Buffer[] {
    return this.#reading(() => this.getKeys(range, limit))
  }

  /** Calls `perform` in a write transaction, in which it uses `get`, `getKeys`, `put`, `remove` and `meta`; resolves once that is kept. */
  async write<T>(perform: () => T): Promise<T> {
    this.#assertOpen()
    return this.#group.run(perform)
  }

  get(key: Buffer): Buffer | undefined {
    return this.#db.getBinary(key)
  }

  getKeys(range: Range, limit: number): Buffer[] {
    return this.#db.getKeys({ ...range, limit }).asArray
  }

  put(key: Buffer, value: Uint8Array): void {
    this.#isRemoving = false
    this.#space.use(value.length)
    this.#db.put(key, value)
  }

  remove(key: Buffer): void {
    this.#space.use(0)
    this.#db.remove(key)
  }

  /** What a process was reading when it was killed would otherwise be kept for it. */
  forgetTheDead(): void {
    this.#db.readerCheck()
  }

  /** Writes what was asked for before, and then lets go of the file. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#group.flush()
    this.#release()
  }

  #release(): void {
    for (const release of this.#releases.reverse()) release()
  }

  /** Writes nothing to what another version has taken over meanwhile. */
  #work(work: () => void): void {
    this.#meta ??= this.#metaOf(this.#db.getBinary(META))
    work()
  }

  #transaction(work: () => void): void {
    let transaction = 0
    let isCommitting = false
    try {
      this.#mutex.run(() => {
        this.#assertThere()
        this.#db.transactionSync(() => {
          transaction = this.#db.getWriteTxnId()
          const isAlone = transaction === this.#lastTransaction + 1
          if (!isAlone) this.#meta = undefined
          this.#space.begin(isAlone)
          this.#isRemoving = true
          work()
          this.#space.reserve(this.#isRemoving)
          isCommitting = true
        })
      })
      // A transaction that has put nothing may have left no trace, and its number to the next.
      this.#lastTransaction = this.#isRemoving ? 0 : transaction
    } catch (error) {
      this.#meta = undefined
      throw error instanceof SessionError ? error : notWritten(error, isCommitting ? 'unknown' : 'none')
    }
  }

  #reading<T>(read: () => T): T {
    this.#assertOpen()
    try {
      this.#db.resetReadTxn()
      return read()
    } catch (error) {
      throw notRead(error)
    }
  }

  /** What is written to a removed file is lost, and it would be written under the locks of the file that is there now. */
  #assertThere(): void {
    this.#isRemoved ||= fstatSync(this.#fd).nlink === 0
    if (this.#isRemoved)
      throw new StoreUnavailableError(`${this.#path} has been removed or replaced: restart`, 'none')
  }

  #assertOpen(): void {
    if (this.#closing) throw new StoreUnavailableError('The session store has been closed', 'none')
    if (this.#isRemoved) this.#assertThere()
  }
}
