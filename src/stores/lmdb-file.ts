import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { ConfigurationError, SessionError, StoreUnavailableError } from '../core/errors.ts'
import { isFull, notRead, notWritten } from './lmdb-errors.ts'
import { Group } from './lmdb-group.ts'
import type { Range } from './lmdb-keys.ts'
import { type Database, loadLMDB } from './lmdb-package.ts'
import { Space } from './lmdb-space.ts'

export type Durability = 'process' | 'disk'

/** One LMDB file, opened: reads of its present state, and writes in transactions. */
export class SessionFile {
  readonly path: string
  readonly #db: Database
  readonly #fd: number
  readonly #space: Space
  readonly #group = new Group(work => this.#transaction(work))
  #closing: Promise<void> | undefined
  #isRemoving = true

  constructor(path: string, durability: Durability) {
    this.path = path
    const { open } = loadLMDB()
    assertLMDB(path)
    this.#db = opened(path, () =>
      open({
        path,
        noSubdir: true,
        permissionsMode: 0o600,
        keyEncoding: 'binary',
        encoding: 'binary',
        noSync: durability === 'process',
        // Waits for the flush within the transaction, so that what is acknowledged, and nothing else, is kept.
        overlappingSync: false,
      }),
    )
    this.#fd = openSync(path, 'r+')
    this.#space = new Space(this.#db, this.#fd)
  }

  get isClosed(): boolean {
    return this.#closing !== undefined
  }

  /** What is stored now, by whatever process. */
  read(key: Buffer): Buffer | undefined {
    return this.#reading(() => this.#db.getBinary(key))
  }

  keys(range: Range, limit: number): Buffer[] {
    return this.#reading(() => this.#db.getKeys({ ...range, limit }).asArray)
  }

  /** Calls `perform` in a write transaction, in which it uses `get`, `put` and `remove`; resolves once that is kept. */
  async write<T>(perform: () => T): Promise<T> {
    this.#assertOpen()
    return this.#group.run(perform)
  }

  get(key: Buffer): Buffer | undefined {
    return this.#db.getBinary(key)
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

  /** Writes what was asked for before, and then lets go of the file. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#group.flush()
    closeSync(this.#fd)
    await this.#db.close()
  }

  #transaction(work: () => void): void {
    try {
      this.#db.transactionSync(() => {
        this.#space.begin()
        this.#isRemoving = true
        work()
        this.#space.reserve(this.#isRemoving)
      })
    } catch (error) {
      throw error instanceof SessionError ? error : notWritten(error)
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

/** The header of an LMDB file: a page's own header comes before the magic number and the version of the format. */
const MAGIC = 0xbeefc0de
const MAGIC_AT = 24
const VERSION = 2

/** LMDB would write into some files that are none of its own. */
function assertLMDB(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false })
  if (!found) {
    if (statSync(dirname(path), { throwIfNoEntry: false })?.isDirectory()) return
    throw new ConfigurationError(`The folder of the session store's file does not exist: ${dirname(path)}`)
  }
  if (!found.isFile())
    throw new ConfigurationError(`path is no file: ${path}; give a file's name for the session store`)
  if (found.size === 0) return
  const header = opened(path, () => headerOf(path))
  if (header.readUInt32LE(MAGIC_AT) !== MAGIC || header.readUInt32LE(MAGIC_AT + 4) !== VERSION) {
    throw new ConfigurationError(`${path} holds something else than sessions; it was left as it is`)
  }
}

function headerOf(path: string): Buffer {
  const header = Buffer.alloc(MAGIC_AT + 8)
  const fd = openSync(path, 'r')
  try {
    readSync(fd, header)
  } finally {
    closeSync(fd)
  }
  return header
}

function opened<T>(path: string, open: () => T): T {
  try {
    return open()
  } catch (error) {
    if (isFull(error)) throw notWritten(error)
    throw Object.assign(new ConfigurationError(`The file of the session store cannot be opened: ${path}`), {
      cause: error,
    })
  }
}
