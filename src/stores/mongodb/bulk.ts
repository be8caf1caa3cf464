import { types } from 'node:util'
import { type SessionError, StoreUnavailableError } from '../../errors.ts'
import type { SessionId } from '../../ids.ts'
import type { Change, Operation } from '../../language/change.ts'
import { isIndex, partsOf } from '../../language/paths.ts'
import { sizeOf } from '../../language/size.ts'
import type { Loaded } from '../../store/joining.ts'
import { codeOf, isOfDriver, mongoError, type Sending } from './errors.ts'

/** The most bytes of a change's arguments, so that a bulk stays far below the driver's limit for one command, 48 MB. */
const MAX_BYTES = 16 * 1024

const cheap: ReadonlySet<Operation['op']> = new Set(['$set', '$unset', '$inc'])

/**
 * Whether a change is small and takes the same short time for every session. A server may apply a bulk one change after another, and
 * a slow change must not delay the others.
 */
export function isCheap({ operations }: Change): boolean {
  let size = 0
  for (const operation of operations) {
    // With an index in the path, the filter has to look at all elements of the array.
    if (!cheap.has(operation.op) || partsOf(operation.path).some(isIndex)) return false
    if ('arg' in operation) size += sizeOf(operation.arg)
  }
  return size <= MAX_BYTES
}

/** Error codes of a server that could not read the command: FailedToParse, InvalidBSON, unknown field. */
const unread = new Set<unknown>([9, 22, 40415])

/** The result of one change in a bulk. */
export type Verdict = 'applied' | 'not applied' | SessionError

/** The driver's `MongoBulkWriteError`: which changes the server refused, and how many others it applied. */
interface BulkError extends Error {
  readonly writeErrors?: BulkRefusal | readonly BulkRefusal[]
  readonly result?: { readonly matchedCount: number; getWriteConcernError?(): unknown }
  /** The error that it wraps, if the command failed as a whole. */
  readonly errorResponse?: unknown
}

interface BulkRefusal {
  readonly index: number
  readonly code?: number
}

/**
 * The result of each change of an unordered bulk. No two changes are of one session, and each filter fails for a document that it does
 * not match. The server names the changes that failed, and counts the others whose document existed. A deleted document never comes
 * back. So if as many documents are absent now as were not counted, those are the ones that were absent. If more are absent now, some
 * were deleted since, and it is unknown whether their change was applied.
 */
export async function verdictsOf(
  ids: readonly SessionId[],
  bulk: Promise<{ matchedCount: number }>,
  sending: Sending,
  look: (ids: readonly SessionId[]) => Promise<readonly PromiseSettledResult<Loaded>[]>,
): Promise<Verdict[]> {
  const verdicts: Verdict[] = ids.map(() => 'applied')
  let matched: number
  try {
    matched = (await bulk).matchedCount
  } catch (error) {
    const { writeErrors = [], result } = error as BulkError
    const refusals = [writeErrors].flat()
    // The changes were applied, but none is confirmed.
    if (result?.getWriteConcernError?.()) return ids.map(() => unknown('MongoDB did not confirm', error))
    if (refusals.length === 0 || !result) return ids.map(() => whole(error, sending))
    for (const refusal of refusals) verdicts[refusal.index] = one(refusal)
    matched = result.matchedCount
  }
  const counted = [...ids.keys()].filter(index => verdicts[index] === 'applied')
  const missing = counted.length - matched
  if (missing === 0) return verdicts
  const found = matched === 0 ? [] : await look(counted.map(index => ids[index] as SessionId))
  const away = counted.filter((_, at) => isAway(found[at]))
  const isCertain = away.length === missing && found.every(({ status }) => status === 'fulfilled')
  for (const index of away.length < missing ? counted : away) {
    verdicts[index] = isCertain ? 'not applied' : unknown('A session has gone while it was changed')
  }
  return verdicts
}

/** The result of each change if the whole command failed; each gets its own error object. */
function whole(error: unknown, { outcome }: Sending): Verdict {
  const { errorResponse } = error as BulkError
  const cause = types.isNativeError(errorResponse) ? errorResponse : error
  const failure = mongoError(cause, outcome)
  const isTold = isOfDriver(cause)
  if (isTold && failure instanceof StoreUnavailableError) return failure
  // With any other error, changes may have been applied: it may come from decoding the answer, or from a listener of the app.
  const isKnown = outcome === 'none' || (isTold && unread.has(codeOf(cause)))
  return isKnown ? 'not applied' : unknown('MongoDB failed, or its answer could not be read', error)
}

function one({ code }: BulkRefusal): Verdict {
  const failure = mongoError({ name: 'MongoServerError', code }, 'unknown')
  return failure instanceof StoreUnavailableError ? failure : 'not applied'
}

function unknown(message: string, cause?: unknown): SessionError {
  return new StoreUnavailableError(message, 'unknown', { cause })
}

function isAway(found: PromiseSettledResult<Loaded> | undefined): boolean {
  return found?.status !== 'fulfilled' || found.value === undefined
}
