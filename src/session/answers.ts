import { SessionEndedError, StoreUnavailableError } from '../errors.ts'
import type { Change, Operation } from '../language/change.ts'
import { answerable, valueAt } from '../language/excerpt.ts'
import { touchedPaths } from '../language/fold.ts'
import { applied } from '../language/operators.ts'
import { isIndex, type Path, partsOf } from '../language/paths.ts'
import { comesBackAlike, copied, type Fields } from '../language/values.ts'
import type { Answer } from '../store/store.ts'
import type { Performer } from './chain.ts'
import type { Visit } from './visit.ts'

/**
 * Chains resolve to the value that was taken, to `null` where a guard did not hold, or to the fields touched; those of a loaded
 * session to itself, refreshed, as the app sees it: `shown`.
 */
export function performerFor(visit: Visit, shown?: object): Performer {
  return {
    queue: visit.queue,
    perform: async (change, taken, isAwaited) => {
      const outcome = await visit.apply(change, answerFor(change, taken, isAwaited))
      if (outcome === null) return { value: null }
      // No other caller gets the value that was taken. If the picture cannot be read now, its next use reads it.
      if (shown && isAwaited) await visit.refresh().catch(taken ? () => {} : failedRead)
      const { fields } = outcome
      if (taken) return { value: copied(valueAt(fields ?? {}, taken)) }
      if (shown) return isAwaited ? { value: shown } : undefined
      return fields && { value: copied(fields) }
    },
    lateResult: async change => {
      const paths = touchedPaths(change.operations)
      if (!shown) return copied((await visit.excerpt(paths).catch(failedRead)) ?? {})
      await visit.load().catch(failedRead)
      return shown
    },
  }
}

/** What to ask back: the field that is taken, as it was before; otherwise the fields touched, if anybody waits for them. */
function answerFor(change: Change, taken: Path | undefined, isAwaited: boolean): Answer | undefined {
  if (taken) return { paths: answerable([taken]), when: 'before' }
  if (!isAwaited && !change.operations.some(hasFleetingResult)) return undefined
  return { paths: answerable(touchedPaths(change.operations)), when: 'after' }
}

/**
 * Numbers are always asked back, since they are small. They may be awaited later, and used as tickets of which no two must be
 * alike: a later read would find what other changes have made of them.
 */
function hasFleetingResult({ op }: Operation): boolean {
  return op === '$inc' || op === '$mul' || op === '$min' || op === '$max'
}

/**
 * What a change leaves at the paths it touches, where that follows from the change alone. Then the store is not asked, and may
 * join the change with others. It does not follow below an array's element, where the answer is the whole array, nor for a
 * field that is removed from an object, since the object may not have been there.
 */
export function foreseen({ operations }: Change, { paths }: Answer): Fields | undefined {
  if (!operations.every(isForeseeable)) return undefined
  const touched = new Set(operations.map(({ path }) => path))
  return paths.every(path => touched.has(path)) ? applied({}, operations) : undefined
}

function isForeseeable(operation: Operation): boolean {
  const parts = partsOf(operation.path)
  if (operation.op === '$unset') return parts.length === 1
  return operation.op === '$set' && !parts.some(isIndex) && comesBackAlike(operation.arg)
}

/**
 * For a read after what was asked for is done: its error must not say that nothing was written. That the session has ended since is no
 * failure.
 */
export function failedRead(error: unknown): undefined {
  if (error instanceof SessionEndedError) return undefined
  if (!(error instanceof StoreUnavailableError)) throw error
  const message = 'What was asked for is done, but the session could not be read again'
  throw new StoreUnavailableError(message, 'unknown', { cause: error })
}
