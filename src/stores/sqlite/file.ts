import { type Stats, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { SessionError, StoreUnavailableError } from '../../errors.ts'
import { Query, type SQLiteDatabase, type SQLiteStatement } from './driver.ts'
import { isBusy, isFull, isLocked, locked, notOpened, notRead, notWritten } from './errors.ts'
import { type Durability, prepareFile, rollBack } from './form.ts'
import { aPause, Group } from './group.ts'
import { Reserve } from './reserve.ts'

/** How long opening the file waits for another process, in milliseconds. */
const OPENING = 5000

/** The part of the timeout in which a call may start; the rest is for the answer. */
const SHARE = 0.8

/** For how long a check that the file is in its place is valid, in milliseconds. */
const RECENTLY = 5

/** A database with sessions: reads its current state, and writes in transactions. */
export class SessionFile {
  readonly #db: SQLiteDatabase
  readonly #isOwn: boolean
  readonly #group: Group
  readonly #reserve: Reserve | undefined
  /** Its name, for messages. */
  readonly path: string
  /** `undefined` if the database is in memory. */
  readonly #identity: Stats | undefined
  #timeout = SHARE * 5000
  #closing: Promise<void> | undefined
  #isRemoved = false
  #seenAt = 0

  /** `isOwn`: `close` closes the database too. Throws `ConfigurationError` if it is not a session database or cannot be opened. */
  constructor(open: () => SQLiteDatabase, durability: Durability, isOwn: boolean, path = 'The database') {
    this.#isOwn = isOwn
    this.path = path
    let opened: SQLiteDatabase | undefined
    const close = () => {
      if (isOwn) opened?.close()
      opened = undefined
    }
    try {
      const db = withoutLocks(() => {
        opened = open()
        opened.exec('PRAGMA busy_timeout = 0')
        prepare(opened, durability, path)
        return opened
      }, close)
      this.#db = db
      const file = fileOf(db)
      this.#identity = file === '' ? undefined : statSync(file)
      // As it was given: a link on the way may be led elsewhere.
      this.path = isOwn ? resolve(path) : file || path
      this.#reserve = file === '' ? undefined : new Reserve(file)
    } catch (error) {
      close()
      throw notOpened(error, path)
    }
    this.keepReserve()
    this.#group = new Group((work, isRemoving) => this.#transaction(work, isRemoving))
  }

  /** A statement that writes. */
  prepare(sql: string): SQLiteStatement {
    return this.#db.prepare(sql)
  }

  /** A statement that reads. */
  query<Columns extends readonly unknown[]>(sql: string): Query<Columns> {
    return new Query(this.#db, sql)
  }

  get isClosed(): boolean {
    return this.#closing !== undefined
  }

  /** How long a caller waits, milliseconds. */
  useTimeout(ms: number): void {
    this.#timeout = SHARE * ms
  }

  /** Reads with `perform`, at one moment if it is one statement. */
  async read<T>(perform: () => T): Promise<T> {
    this.#assertOpen()
    try {
      return perform()
    } catch (error) {
      // As while another process sets right what one that was killed has left.
      if (!isLocked(error)) throw notRead(error)
    }
    return this.#readLater(perform)
  }

  #readLater<T>(perform: () => T): Promise<T> {
    const until = performance.now() + this.#timeout
    return new Promise((answer, reject) => {
      const attempt = () => {
        try {
          this.#assertOpen()
          answer(perform())
        } catch (error) {
          if (!isLocked(error)) return reject(notRead(error))
          const timer = setTimeout(attempt, aPause())
          if (performance.now() < until) return
          reject(locked(error))
          // It is tried on, though nobody waits: libsql leaves a statement begun that met a lock, until it is run again.
          timer.unref()
        }
      }
      attempt()
    })
  }

  /** Calls `perform` in a write transaction; resolves once it is committed. `isRemoving`: it needs no more space. */
  async write<T>(perform: () => T, isRemoving = false): Promise<T> {
    this.#assertOpen()
    return this.#group.run(perform, this.#timeout, isRemoving)
  }

  keepReserve(): void {
    this.#reserve?.keep()
  }

  /** Finishes the waiting writes, moves the log into the file, and closes what was opened here. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#group.flush()
    while (!this.#group.isEmpty) await delay(1)
    if (!this.#isRemoved) this.checkpoint('TRUNCATE')
    if (this.#isOwn) this.#db.close()
  }

  #transaction(work: () => void, isRemoving: boolean): void {
    try {
      this.#attempt(work)
    } catch (error) {
      if (!isFull(causeOf(error))) throw error
      // What the log holds can be brought into the file, and its room used again.
      this.checkpoint('PASSIVE')
      this.#attemptFull(work, isRemoving)
    }
  }

  #attemptFull(work: () => void, isRemoving: boolean): void {
    try {
      this.#attempt(work)
    } catch (error) {
      if (!isRemoving || !isFull(causeOf(error)) || !this.#reserve?.release()) throw error
      try {
        this.checkpoint('PASSIVE')
        this.#attempt(work)
        this.checkpoint('PASSIVE')
      } finally {
        this.#reserve.retake()
      }
    }
  }

  #attempt(work: () => void): void {
    let isBegun = false
    let isCommitting = false
    try {
      // Not as a statement that is kept: where it meets a lock libsql leaves it begun, and all reads would be of that moment.
      this.#db.exec('BEGIN IMMEDIATE')
      isBegun = true
      work()
      this.#assertThere('none')
      isCommitting = true
      this.#db.exec('COMMIT')
    } catch (error) {
      // Otherwise it is somebody else's that is under way.
      if (isBegun) rollBack(this.#db)
      throw isLocked(error) ? error : notWritten(error, isCommitting)
    }
    this.#assertThere('unknown')
  }

  /** Moves what the log holds into the file, as far as no reader needs it and no other process does so. */
  checkpoint(mode: 'PASSIVE' | 'TRUNCATE'): void {
    try {
      this.#db.exec(`PRAGMA main.wal_checkpoint(${mode})`)
    } catch {
      // Nothing is lost: the next one moves it, here or in another process.
    }
  }

  /** Throws if the file was removed or replaced: a change written to it would be lost. */
  #assertThere(outcome: 'none' | 'unknown'): void {
    if (!this.#identity) return
    const message = `${this.path} has been removed or replaced: restart`
    if (!this.#isRemoved) {
      // A look costs as much as a tenth of a change, and the next, before anything is acknowledged, tells all the same.
      if (outcome === 'none' && performance.now() - this.#seenAt < RECENTLY) return
      const found = statsOf(this.path, outcome)
      this.#seenAt = performance.now()
      if (found?.ino === this.#identity.ino && found.dev === this.#identity.dev) return
      this.#isRemoved = true
      process.emitWarning(message, 'SessionWarning')
    }
    throw new StoreUnavailableError(message, outcome)
  }

  #assertOpen(): void {
    if (this.#closing) throw new StoreUnavailableError('The session store has been closed', 'none')
    if (this.#isRemoved) this.#assertThere('none')
  }
}

/** `undefined` if there is no file. */
function statsOf(path: string, outcome: 'none' | 'unknown'): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch (cause) {
    throw new StoreUnavailableError('The file of the session store could not be checked', outcome, { cause })
  }
}

/** Its own name, also where it was opened by a link. */
function fileOf(db: SQLiteDatabase): string {
  const [, , file] = new Query<[number, string, string | null]>(db, 'PRAGMA database_list').row() ?? []
  return file ?? ''
}

function causeOf(error: unknown): unknown {
  return error instanceof SessionError ? error.cause : error
}

/** Also on a disk without a byte left: there must be room for the log's index, for signing out too. */
function prepare(db: SQLiteDatabase, durability: Durability, path: string): void {
  try {
    prepareFile(db, durability, path)
  } catch (error) {
    if (!isFull(error)) throw error
    const reserve = new Reserve(fileOf(db))
    if (!reserve.release()) throw error
    try {
      prepareFile(db, durability, path)
    } finally {
      reserve.retake()
    }
  }
}

/** Opening is done at once, and others may be doing the same. `undo` is called before each further attempt. */
function withoutLocks<T>(work: () => T, undo: () => void): T {
  const until = performance.now() + OPENING
  for (;;) {
    try {
      return work()
    } catch (error) {
      if (!isBusy(error) || performance.now() >= until) throw error
    }
    undo()
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, aPause())
  }
}
