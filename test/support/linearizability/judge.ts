import { Checker } from './checker.ts'
import type { SessionHistory } from './history.ts'
import { keyOf, rankOf, type State, stepsOf } from './model.ts'

export interface Verdict {
  /** Why a session's history is not linearizable; empty if all are. */
  readonly failures: string[]
  readonly sessions: number
  readonly attempts: number
}

/**
 * Sessions share nothing, so a history is linearizable if that of each session is (Herlihy and Wing, 1990, "locality"). What
 * `regenerate` carries from one to the next is the answer of the one and the beginning of the other.
 */
export function judged(histories: readonly SessionHistory[]): Verdict {
  const failures: string[] = []
  let attempts = 0
  for (const [index, { initial, observations }] of histories.entries()) {
    const checker = new Checker<State>(observations.flatMap(stepsOf), keyOf, rankOf)
    const failure = checker.check(initial)
    attempts += checker.attempts
    if (failure) failures.push(`Session ${index + 1} of ${histories.length}: ${failure.reason}`)
  }
  return { failures, sessions: histories.length, attempts }
}
