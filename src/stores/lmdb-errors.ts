import { StoreUnavailableError } from '../core/errors.ts'

/** What there is no room for: on the disk, in the account's quota, in the size that the process may give a file. */
const full = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

export function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && full.has(String(error.code))
}

/** An error of LMDB's, or of the file system's, as one of ours. Nothing has been written: the transaction was rolled back. */
export function notWritten(error: unknown): StoreUnavailableError {
  const message = isFull(error)
    ? 'There is no room on the disk for the session store'
    : 'The file of the session store could not be written'
  return new StoreUnavailableError(message, 'none', { cause: error })
}

export function notRead(error: unknown): StoreUnavailableError {
  return new StoreUnavailableError('The file of the session store could not be read', 'none', {
    cause: error,
  })
}
