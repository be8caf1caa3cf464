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
    perform: async (change, taken, asked) => {
      const outcome = await visit.apply(change, answerFor(change, taken, asked))
      if (outcome === null) return { value: null }
      if (shown && asked) await visit.refresh().catch(afterApplied)
      const { fields } = outcome
      if (taken) return { value: copied(valueAt(fields ?? {}, taken)) }
      if (shown) return asked ? { value: shown } : undefined
      return fields && { value: copied(fields) }
    },
    afterwards: async change => {
      const paths = touchedPaths(change.operations)
      if (!shown) return copied((await visit.excerpt(paths).catch(afterApplied)) ?? {})
      await visit.load()
      return shown
    },
  }
}

/** What to ask back. Removing needs nothing but what was there; otherwise the fields touched, if anybody wants them. */
function answerFor(change: Change, taken: Path | undefined, asked: boolean): Answer | undefined {
  if (taken) return { paths: answerable([taken]), when: 'before' }
  if (!asked && !change.operations.some(hasFleetingResult)) return undefined
  return { paths: answerable(touchedPaths(change.operations)), when: 'after' }
}

/**
 * Numbers may be awaited later, as tickets whose worth is that no two are alike: what a later read would find is not what
 * this change made. They are small, so they are asked back always.
 */
function hasFleetingResult({ op }: Operation): boolean {
  return op === '$inc' || op === '$mul' || op === '$min' || op === '$max'
}

/**
 * What a change leaves at the paths it touches, where that follows from the change alone, so that nobody need ask the store:
 * it may then join the change with others. Below an array's element, the answer is the whole array; an object from which
 * something is removed is there afterwards only if it was before.
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

/** The change has been applied, whatever the reading after it meets; that nothing was written must not be said. */
export function afterApplied(error: unknown): undefined {
  if (error instanceof SessionEndedError) return undefined
  if (!(error instanceof StoreUnavailableError)) throw error
  const message = 'The change was applied, but the session could not be read again'
  throw new StoreUnavailableError(message, 'unknown', { cause: error })
}
