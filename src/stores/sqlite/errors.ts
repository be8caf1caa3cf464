import { ConfigurationError, SessionError, StoreUnavailableError } from '../../errors.ts'

/** https://www.sqlite.org/rescode.html, as far as something depends on them. */
const NAMES: Readonly<Record<number, string>> = {
  5: 'BUSY',
  6: 'LOCKED',
  8: 'READONLY',
  10: 'IOERR',
  11: 'CORRUPT',
  13: 'FULL',
  15: 'PROTOCOL',
  26: 'NOTADB',
}
const EXTENDED: Readonly<Record<number, string>> = { 778: 'IOERR_WRITE', 4874: 'IOERR_SHMSIZE' }

/** The name of SQLite's result code: of the package's `SQLITE_IOERR_WRITE` as of the number that Node gives. */
function resultOf(error: unknown): string {
  // An error of libsql's is none that the language made.
  if (typeof error !== 'object' || error === null) return ''
  const { code, errcode } = error as { code?: unknown; errcode?: unknown }
  if (typeof errcode === 'number') return EXTENDED[errcode] ?? NAMES[errcode & 0xff] ?? ''
  return typeof code === 'string' && code.startsWith('SQLITE_') ? code.slice('SQLITE_'.length) : ''
}

function isOneOf(error: unknown, results: readonly string[]): boolean {
  const result = resultOf(error)
  return results.some(name => result === name || result.startsWith(`${name}_`))
}

/** Whether another process, or another user of this connection, holds the lock: then the call is tried again. */
export function isLocked(error: unknown): boolean {
  return isBusy(error) || isWithinTransaction(error)
}

/** Whether another process holds the lock. */
export function isBusy(error: unknown): boolean {
  return isOneOf(error, ['BUSY', 'LOCKED', 'PROTOCOL'])
}

function isWithinTransaction(error: unknown): boolean {
  return /within a transaction/.test(String((error as { message?: unknown } | undefined)?.message))
}

/** Whether the disk was full, also for the log's index. It may also be a quota, which SQLite does not tell from other errors. */
export function isFull(error: unknown): boolean {
  return isOneOf(error, ['FULL', 'IOERR_WRITE', 'IOERR_SHMSIZE'])
}

/** The driver's error in a write as a `SessionError`. */
export function notWritten(error: unknown, isCommitting: boolean): SessionError {
  if (error instanceof SessionError) return error
  if (isLocked(error)) return locked(error)
  // What was committed in the log may count once the file is opened again, even if the call failed. That does not hold for FULL, since
  // what commits comes last; the log's index grows after it.
  const outcome = isCommitting && !isOneOf(error, ['FULL']) ? 'unknown' : 'none'
  if (isOneOf(error, ['FULL', 'IOERR_SHMSIZE'])) {
    return new StoreUnavailableError('There is no room on the disk for the session store', outcome, {
      cause: error,
    })
  }
  return new StoreUnavailableError('The file of the session store could not be written', outcome, {
    cause: error,
  })
}

export function notRead(error: unknown): SessionError {
  if (error instanceof SessionError) return error
  if (isLocked(error)) return locked(error)
  return new StoreUnavailableError('The file of the session store could not be read', 'none', {
    cause: error,
  })
}

export function locked(cause: unknown): StoreUnavailableError {
  return new StoreUnavailableError('The file of the session store was locked by others', 'none', { cause })
}

/** The driver's error in opening the file as a `SessionError`. */
export function notOpened(error: unknown, path: string): SessionError {
  if (error instanceof SessionError) return error
  if (isWithinTransaction(error)) {
    return new ConfigurationError(`${path} has a transaction open: end it, and make the store then`)
  }
  if (isBusy(error) || isFull(error)) return notWritten(error, false)
  const what = isOneOf(error, ['NOTADB', 'CORRUPT'])
    ? 'is damaged, or holds something else than sessions; it was left as it is'
    : 'cannot be opened as the file of the session store'
  return Object.assign(new ConfigurationError(`${path} ${what}`), { cause: error })
}
