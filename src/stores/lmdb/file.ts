import { closeSync, fstatSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { ConfigurationError, SessionError, StoreUnavailableError } from '../../core/errors.ts'
import { notRead, notWritten } from './errors.ts'
import { Group } from './group.ts'
import { everything, META, type Range } from './keys.ts'
import { bytesOfMeta, type Durability, type Meta, metaOf } from './meta.ts'
import { Mutex } from './mutex.ts'
import { flush, opened, openLMDB, ownName } from './open.ts'
import type { Database } from './package.ts'
import { Space } from './space.ts'

/** Of addresses, not of memory: while the file is smaller it need not be mapped anew. */
const MAP_SIZE = 4 * 2 ** 30

/** How many stores of this process have a file open, by its inode. */
const openHere = new Map<string, number>()

/** One LMDB file, opened: reads of its present state, and writes in transactions. */
export class SessionFile {
  readonly #path: string
  readonly #mutex: Mutex
  readonly #db: Database
  readonly #fd: number
  readonly #inode: string
  readonly #space: Space
  readonly #group: Group
  #closing: Promise<void> | undefined
  #isRemoving = true
  #lastTransaction = 0
  /** As it is until somebody else writes. */
  #meta: Meta | undefined

  /** Throws `ConfigurationError` if the file is none of ours, or in use with another durability. */
  constructor(path: string, durability: Durability) {
    this.#path = ownName(path)
    // A flush is worth waiting for whoever else comes in this turn of the event loop; otherwise a call is not kept waiting.
    const defer = durability === 'disk' ? setImmediate : process.nextTick
    this.#group = new Group(work => this.#transaction(() => this.#work(work)), defer)
    this.#mutex = new Mutex(this.#path)
    try {
      this.#db = this.#mutex.run(() =>
        openLMDB(this.#path, { mapSize: MAP_SIZE, noSync: durability === 'process' }),
      )
    } catch (error) {
      void this.#mutex.close()
      throw error
    }
    this.#fd = opened(path, () => openSync(this.#path, 'r+'))
    const { dev, ino } = fstatSync(this.#fd)
    this.#inode = `${dev} ${ino}`
    this.#space = new Space(this.#db, this.#fd)
    try {
      this.#assertWhole()
      this.#settle(durability)
    } catch (error) {
      void this.#release()
      throw error
    }
    if (durability === 'disk') {
      this.#mutex.flush()
      flush(dirname(this.#path))
    }
    openHere.set(this.#inode, 1 + (openHere.get(this.#inode) ?? 0))
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
      throw new ConfigurationError(
        `${this.#path} has been cut short: take a whole copy, or remove it to begin anew`,
      )
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

  /** Whether another store, of this process or of another, has the file open. */
  #isShared(): boolean {
    if (openHere.has(this.#inode)) return true
    const pids = this.#db.readerList().match(/^ *\d+/gm) ?? []
    return pids.some(pid => Number(pid) !== process.pid)
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
    const others = (openHere.get(this.#inode) ?? 1) - 1
    if (others > 0) openHere.set(this.#inode, others)
    else openHere.delete(this.#inode)
    await this.#release()
  }

  async #release(): Promise<void> {
    closeSync(this.#fd)
    // Done when it returns, since nothing is under way.
    this.#mutex.run(() => void this.#db.close())
    await this.#mutex.close()
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
      this.#mutex.run(() =>
        this.#db.transactionSync(() => {
          transaction = this.#db.getWriteTxnId()
          const isAlone = transaction === this.#lastTransaction + 1
          if (!isAlone) this.#meta = undefined
          this.#space.begin(isAlone)
          this.#isRemoving = true
          work()
          this.#space.reserve(this.#isRemoving)
          isCommitting = true
        }),
      )
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

  #assertOpen(): void {
    if (this.#closing) throw new StoreUnavailableError('The session store has been closed', 'none')
  }
}
