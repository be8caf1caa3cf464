import { setImmediate, setTimeout } from 'node:timers/promises'
import { StoreUnavailableError } from '../errors.ts'
import type { SessionId } from '../ids.ts'
import type { Together } from '../store/combining.ts'
import { givenBy } from '../store/encoding.ts'
import type { Update } from '../store/joining.ts'
import type { Outcome } from '../store/store.ts'
import { assertEncodable } from './bson.ts'
import { type Draft, draftOf, namesIn, type Standing, type StoredField, type Swap } from './draft.ts'

/**
 * A store that keeps each top-level field separately, and whose database cannot apply every change itself. It reads the fields that
 * the changes touch, and replaces them if they have not changed meanwhile.
 */
export interface FieldStore {
  /** Reads the session with these fields, from the primary. With `exactSize`, `size` must be exact, not a bound. */
  readFields(id: SessionId, names: readonly string[], exactSize: boolean): Promise<Standing | Missing>

  /**
   * Compares the session with the swap and writes the swap, in one atomic step. Resolves to the session's new state. If a comparison
   * fails, writes nothing and resolves to `{ isMoved: true }`. `until`: when the callers' timeout ends, by `performance.now()`.
   */
  swapFields(id: SessionId, swap: Swap, until: number): Promise<Swapped | Moved | Missing>

  /** The database's clock for `$currentDate`, in milliseconds since the epoch. @default this process's clock */
  now?(): number
}

export type Missing = 'absent' | 'ended'

export type Swapped = Omit<Standing, 'fields'>

export interface Moved {
  readonly isMoved: true
  /** The session as it is now, if the answer contains it: that saves another read. */
  readonly standing?: Standing
}

export interface SwapHints {
  /** The hint of the step before, from before these changes were made. */
  readonly told?: Standing
  /** What was read after these changes were made. */
  readonly fresh?: Standing
  /** When the callers' timeout ends, by `performance.now()`. */
  readonly until: number
}

/** The changes fail after this many attempts, if other changes came in between each time. */
const MAX_TRIES = 50

/** After this many attempts, each next one waits a random time, so that competing processes do not conflict again and again. */
const PATIENT_TRIES = 2
const MAX_PAUSE = 16

/** How long changes are computed without a pause, in milliseconds: this process serves nobody meanwhile. */
const LONGEST = 50

/**
 * An `updateTogether` for a `CombinableStore`: applies changes to one session in their order, and in one step unless they take long. It
 * reads the fields that they touch, computes the result, and swaps these fields.
 */
export function updateFields(
  store: FieldStore,
  id: SessionId,
  updates: readonly Update[],
  hints: SwapHints,
): Promise<Together<Standing>> {
  return withoutUnencodable(updates, encodable => inTurns(store, id, encodable, hints))
}

async function inTurns(
  store: FieldStore,
  id: SessionId,
  updates: readonly Update[],
  hints: SwapHints,
): Promise<Together<Standing>> {
  const { results, told } = await swapUntilDone(store, id, updates, hints)
  const rest = updates.slice(results.length)
  if (rest.length === 0) return { results, ...(told && { told }) }
  await setImmediate()
  try {
    if (performance.now() > hints.until) {
      throw new StoreUnavailableError('The changes before this one took too long', 'none')
    }
    const later = await inTurns(store, id, rest, { until: hints.until, ...(told && { told }) })
    return { ...later, results: [...results, ...later.results] }
  } catch (reason) {
    return { results: [...results, ...rest.map(() => ({ status: 'rejected', reason }) as const)] }
  }
}

/** Applies the changes, or the first of them where they take long: then there are fewer results. */
async function swapUntilDone(
  store: FieldStore,
  id: SessionId,
  updates: readonly Update[],
  { told, fresh, until }: SwapHints,
): Promise<Together<Standing>> {
  const names = [...new Set(updates.flatMap(update => [...namesIn(update)]))]
  let standing = knowing(fresh, names) ?? knowing(told, names)
  let isFresh = knowing(fresh, names) !== undefined
  let exactSize = false
  for (let tries = 1; ; ) {
    if (!standing) {
      const found = await store.readFields(id, names, exactSize)
      if (typeof found === 'string') return { results: updates.map(() => fulfilled(found)) }
      standing = found
      isFresh = true
    }
    const draft = draftOf(standing, store.now && new Date(store.now()))
    if (!draft) return { results: updates.map(() => fulfilled('absent')) }
    const results = resultsOf(draft, updates)
    if (draft.needsExactSize && !exactSize) {
      exactSize = true
      standing = undefined
      continue
    }
    const swap = draft.swap()
    if (!swap) {
      // Otherwise the reason to refuse them may be out of date, so read again.
      if (isFresh) return { results, told: standing }
      standing = undefined
      continue
    }
    const answer = await store.swapFields(id, swap, until)
    if (typeof answer === 'string') return { results: updates.map(() => fulfilled(answer)) }
    if (!('isMoved' in answer)) {
      return { results: movedBy(answer.rev - swap.steps - swap.rev, results), told: swapped(answer, swap) }
    }
    if (++tries > MAX_TRIES || performance.now() > until) {
      throw new StoreUnavailableError('Others keep changing the same fields of the session', 'none')
    }
    standing = knowing(answer.standing, names)
    isFresh = true
    if (tries > PATIENT_TRIES) await setTimeout(Math.random() * Math.min(tries, MAX_PAUSE))
  }
}

/** Refuses each change with a value that cannot be encoded, before the others are applied. */
async function withoutUnencodable<Told>(
  updates: readonly Update[],
  apply: (updates: readonly Update[]) => Promise<Together<Told>>,
): Promise<Together<Told>> {
  const faults = updates.map(({ change }) => faultIn(change))
  const encodable = updates.filter((_, index) => faults[index] === undefined)
  if (encodable.length === updates.length) return apply(updates)
  const { results, ...told } = encodable.length > 0 ? await apply(encodable) : { results: [] }
  const rest = results.values()
  return {
    ...told,
    results: faults.map(fault => fault ?? (rest.next().value as PromiseSettledResult<Outcome>)),
  }
}

function faultIn(change: Update['change']): PromiseRejectedResult | undefined {
  try {
    assertEncodable(givenBy(change))
    return undefined
  } catch (reason) {
    return { status: 'rejected', reason }
  }
}

/** The state with only these fields, since the swap compares all of them. `undefined` if one of them was not read. */
function knowing(standing: Standing | undefined, names: readonly string[]): Standing | undefined {
  if (!standing || !names.every(name => standing.fields.has(name))) return undefined
  if (names.length === standing.fields.size) return standing
  return { ...standing, fields: new Map(names.map(name => [name, standing.fields.get(name)])) }
}

function fulfilled(value: Outcome): PromiseFulfilledResult<Outcome> {
  return { status: 'fulfilled', value }
}

function resultsOf(draft: Draft, updates: readonly Update[]): PromiseSettledResult<Outcome>[] {
  const results: PromiseSettledResult<Outcome>[] = []
  const end = performance.now() + LONGEST
  for (const update of updates) {
    results.push(settled(() => draft.apply(update)))
    if (performance.now() > end) break
  }
  return results
}

function settled(apply: () => Outcome): PromiseSettledResult<Outcome> {
  try {
    return fulfilled(apply())
  } catch (reason) {
    return { status: 'rejected', reason }
  }
}

/** Changes of other fields may have come between: the fields are the same, the revisions are later. */
function movedBy(
  revs: number,
  results: readonly PromiseSettledResult<Outcome>[],
): readonly PromiseSettledResult<Outcome>[] {
  if (revs === 0) return results
  return results.map(result => {
    if (result.status === 'rejected' || typeof result.value === 'string') return result
    const { rev } = result.value
    return rev === undefined ? result : fulfilled({ ...result.value, rev: rev + revs })
  })
}

/** The state of a session after a swap. */
export function swapped(now: Swapped, { seen, set, unset }: Swap): Standing {
  const fields = new Map<string, StoredField | undefined>(seen)
  for (const [name, bytes] of set) fields.set(name, { bytes, stamp: now.rev })
  for (const name of unset) fields.set(name, undefined)
  return { ...now, fields }
}
