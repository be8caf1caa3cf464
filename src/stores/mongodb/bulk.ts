import { types } from 'node:util'
import { type SessionError, StoreUnavailableError } from '../../errors.ts'
import type { SessionId } from '../../ids.ts'
import type { Change, Operation } from '../../language/change.ts'
import { isIndex, partsOf } from '../../language/paths.ts'
import { sizeOf } from '../../language/size.ts'
import type { Loaded } from '../../store/joining.ts'
import { codeOf, isOfDriver, mongoError, type Sending } from './errors.ts'

/** Of the arguments of a change; so that a bulk stays far below what the driver sends as one command, 48 MB. */
const MAX_BYTES = 16 * 1024

const cheap: ReadonlySet<Operation['op']> = new Set(['$set', '$unset', '$inc'])

/**
 * Whether a change is small and costs the server as little whatever the session holds: a server may carry out a bulk one
 * change after another, and one that takes long must not delay the visitors whose changes go with it.
 */
export function isCheap({ operations }: Change): boolean {
  let size = 0
  for (const operation of operations) {
    // Whether an array has such an element is asked of all its elements.
    if (!cheap.has(operation.op) || partsOf(operation.path).some(isIndex)) return false
    if ('arg' in operation) size += sizeOf(operation.arg)
  }
  return size <= MAX_BYTES
}

/** What a server answers that could not read the command: FailedToParse, InvalidBSON, and a field that it does not know. */
const unread = new Set<unknown>([9, 22, 40415])

/** What became of one change of a bulk. */
export type Verdict = 'applied' | 'not applied' | SessionError

/** What the driver's `MongoBulkWriteError` tells: which changes the server refused, and how many others it applied. */
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
 * What became of each change of an unordered bulk, no two of which are to one session, each with a filter that fails for a
 * document which it does not match. The server tells of those that failed, and of the others counts those that were there.
 * What is not there stays away: so if as many are away now as were missing, these were missing. If more are, some have been
 * deleted since, and whether those had got their change is unknown.
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
    // Of those that were applied, none is confirmed.
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

/** Where the command failed as a whole, the same for each change, but an error of its own. */
function whole(error: unknown, { outcome }: Sending): Verdict {
  const { errorResponse } = error as BulkError
  const cause = types.isNativeError(errorResponse) ? errorResponse : error
  const failure = mongoError(cause, outcome)
  const isTold = isOfDriver(cause)
  if (isTold && failure instanceof StoreUnavailableError) return failure
  // Nothing else tells that none was applied: an answer that cannot be decoded is an error just as a change that cannot be
  // encoded is, and so is what a listener of the app's throws.
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
