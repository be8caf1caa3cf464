import { types } from 'node:util'
import {
  CommandError,
  FieldError,
  SessionError,
  SessionTooLargeError,
  StoreUnavailableError,
} from '../../errors.ts'
import type { Change } from '../../language/change.ts'
import { applied } from '../../language/operators.ts'
import { foreignValue, type Given } from '../../store/encoding.ts'
import type { Loaded } from '../../store/joining.ts'
import { isEnded } from '../../store/record.ts'

/**
 * Server errors that tell of the server, not of the change: elections, shutdowns, overload, missing rights, a full disk, and that it
 * no longer knows what came of a write that the driver has sent once more (217).
 */
const unavailable = new Set([
  6, 7, 13, 18, 24, 50, 64, 89, 91, 100, 112, 133, 134, 189, 202, 217, 262, 317, 358, 384, 391, 461, 462,
  8000, 9001, 10058, 10107, 11600, 11601, 11602, 13435, 13436, 14031,
])

/** BSONObjectTooLarge and its older sibling of the update path. */
const tooLarge = new Set([10334, 17280, 17419, 17420])

/**
 * Whether the driver has begun to write a command to a connection. No error tells: where the driver tries a write once
 * more, as on replica sets, the error that it throws may be the second attempt's alone, such as that no server was found.
 */
export class Sending {
  /** What is known of a command that failed. */
  outcome: StoreUnavailableError['outcome'] = 'none'

  /**
   * A part of the command, of which the last field is encoded as the message is written, and not before. By `toBSON`, which
   * costs less than a getter: that would make the part slow to encode.
   */
  part<T extends object>(part: T): T {
    const fields = part as Record<string, unknown>
    let last = ''
    for (const key in fields) last = key
    const value = fields[last]
    fields[last] = {
      toBSON: () => {
        this.outcome = 'unknown'
        return value
      },
    }
    return part
  }
}

/**
 * The driver's error as one of ours, by what it says of itself, since the driver is not imported here. `outcome` is what
 * is known of the call where the server did not say that it refused it.
 */
export function mongoError(error: unknown, outcome: 'none' | 'unknown'): SessionError {
  if (error instanceof SessionError) return error
  const { name, code, message } = error as { name?: string; code?: unknown; message?: string }
  const isTooLarge =
    (typeof code === 'number' && tooLarge.has(code)) ||
    name === 'RangeError' ||
    (name === 'MongoInvalidArgumentError' && message?.includes('larger than'))
  if (isTooLarge) {
    return new SessionTooLargeError('The session would become larger than MongoDB stores', { cause: error })
  }
  const isRefusal = name === 'MongoServerError' || name === 'MongoBulkWriteError'
  if (isRefusal && !isOfTheServer(error as ServerError)) {
    return new CommandError(`MongoDB refused the change (code ${String(code)})`, undefined, { cause: error })
  }
  // The driver throws an error with this label only if none of its attempts wrote.
  const known = (error as ServerError).hasErrorLabel?.('NoWritesPerformed') ? 'none' : outcome
  return new StoreUnavailableError('MongoDB could not be reached, or did not confirm', known, {
    cause: error,
  })
}

/** The error for a value that the driver cannot encode. The driver refuses it before it sends anything. */
export function encodingError(error: unknown, given: Given): FieldError | undefined {
  const { name, message } = error as { name?: unknown; message?: unknown }
  if (name !== 'BSONVersionError') return undefined
  const [major] = /\d+/.exec(String(message)) ?? []
  return (
    foreignValue(given, Number(major)) ??
    new FieldError("MongoDB's driver cannot encode a value of another version of bson", given[0]?.[0] ?? '')
  )
}

/** MongoDB's own message quotes stored values; ours names the path and the reason, as every store does. */
export function explained(refused: CommandError, found: Loaded, { operations }: Change): CommandError {
  try {
    if (found && !isEnded(found)) applied(found.fields, operations)
    return refused
  } catch (error) {
    if (!(error instanceof CommandError)) return refused
    return new CommandError(error.message, error.path, { cause: refused.cause })
  }
}

/** Whether an error is the driver's or the server's: others are of encoding, decoding, or of the app's listeners. */
export function isOfDriver(error: unknown): boolean {
  return types.isNativeError(error) && error.name.startsWith('Mongo')
}

/** Whether an error is the same for whatever goes the same way: the server has said nothing. */
export function isOfConnection(error: unknown): boolean {
  return isOfDriver(error) && (error as Error).name !== 'MongoServerError'
}

const DUPLICATE_KEY = 11000

/** Whether another record holds the id: somebody may have made unique indexes of other fields, too. */
export function isIdTaken(error: unknown): boolean {
  return codeOf(error) === DUPLICATE_KEY && !/ index: (?!_id_)/.test((error as Error).message)
}

export function codeOf(error: unknown): unknown {
  return types.isNativeError(error) && 'code' in error ? error.code : undefined
}

interface ServerError extends Error {
  code?: number
  hasErrorLabel?(label: string): boolean
}

function isOfTheServer(error: ServerError): boolean {
  return (
    (error.code !== undefined && unavailable.has(error.code)) ||
    error.hasErrorLabel?.('RetryableWriteError') === true ||
    error.hasErrorLabel?.('TransientTransactionError') === true
  )
}
