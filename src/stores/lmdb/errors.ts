import { constants } from 'node:os'
import { types } from 'node:util'
import { ConfigurationError, SessionError, StoreUnavailableError } from '../../errors.ts'

const { ENOSPC, EDQUOT, EFBIG } = constants.errno

/** What there is no room for: on the disk, in the account's quota, in the size that the process may give a file. */
const full = new Set<unknown>(['ENOSPC', 'EDQUOT', 'EFBIG', ENOSPC, EDQUOT, EFBIG])

/** Node tells errors by name, LMDB by number. */
export function isFull(error: unknown): boolean {
  return types.isNativeError(error) && 'code' in error && full.has(error.code)
}

/** An error of LMDB's, or of the file system's, as one of ours. */
export function notWritten(error: unknown, outcome: 'none' | 'unknown'): StoreUnavailableError {
  if (isFull(error)) {
    return new StoreUnavailableError('There is no room on the disk for the session store', 'none', {
      cause: error,
    })
  }
  return new StoreUnavailableError('The file of the session store could not be written', outcome, {
    cause: error,
  })
}

export function notRead(error: unknown): StoreUnavailableError {
  return new StoreUnavailableError('The file of the session store could not be read', 'none', {
    cause: error,
  })
}

/** What went wrong in opening the file, as an error of ours. */
export function notOpened(error: unknown, path: string): SessionError {
  if (error instanceof SessionError) return error
  if (isFull(error)) return notWritten(error, 'none')
  return Object.assign(new ConfigurationError(`The file of the session store cannot be opened: ${path}`), {
    cause: error,
  })
}
