/** One atomic step of a request, as its client saw it. */
export interface Step<State> {
  /** When its request was begun and answered, by one clock. `Infinity`: the step may happen at any time since. */
  readonly begun: number
  readonly answered: number
  /** Whether the answer says no more than that the step may have happened, or not. */
  readonly isDoubtful: boolean
  /** The step of the same request that comes before this one. */
  readonly after?: Step<State>
  /** No state of a higher rank could have given its answer. */
  readonly highestRank: number
  /** Its answer says that it changed nothing, whatever the state was. */
  readonly isSilent: boolean
  readonly shown: string
  /** The state that the step leaves; `undefined` where this state could not have given its answer. */
  next(state: State): State | undefined
}

export interface Failure {
  /** Where the longest attempt got stuck. */
  readonly reason: string
  readonly isUndecided: boolean
}

/** What was done so far of one attempt to put all steps in an order. */
interface Attempt {
  /** All certain steps before this one are done. */
  readonly base: number
  /** Those done beyond `base`, and the doubtful ones done; each in ascending order. */
  readonly ahead: readonly number[]
  readonly open: readonly number[]
  readonly state: number
}

interface Frame {
  readonly attempt: Attempt
  /** Every answer that came before is explained. */
  readonly deadline: number
  /** The lowest of those that have to come soon: from a state of a higher rank, one of them would have had to come earlier. */
  readonly highestRank: number
  readonly trail: Trail | undefined
  readonly candidates: readonly number[]
  tried: number
}

interface Trail {
  readonly step: string
  readonly before: Trail | undefined
  readonly length: number
}

/** Attempts that end alike are one; a history that needs more than this many different ones is given up. */
const MOST_ATTEMPTS = 3_000_000

/**
 * Whether the steps, each at one instant between its request and its answer, can be put in an order that explains every
 * answer; if not, why. The search is Wing and Gong's, with Lowe's memory of the attempts that were made already
 * ("Testing for linearizability", 2017): the same steps done, and the same state reached.
 */
export class Checker<State> {
  /** By when they were begun. */
  readonly #certain: readonly Step<State>[]
  readonly #doubtful: readonly Step<State>[]
  readonly #before: readonly (number | undefined)[]
  readonly #keyOf: (state: State) => string
  readonly #rankOf: (state: State) => number
  readonly #states: State[] = []
  readonly #ids = new Map<string, number>()
  /** What each step makes of each state, as far as it was asked; -1: it cannot be. */
  readonly #nexts: number[][] = []
  readonly #made = new Set<string>()

  /** No step may lower a state's rank. */
  constructor(
    steps: readonly Step<State>[],
    keyOf: (state: State) => string,
    rankOf: (state: State) => number,
  ) {
    const sorted = [...steps].sort((a, b) => a.begun - b.begun)
    this.#certain = sorted.filter(step => !step.isDoubtful)
    this.#doubtful = sorted.filter(step => step.isDoubtful)
    const places = new Map(this.#certain.map((step, index) => [step, index]))
    this.#before = this.#certain.map(({ after }) => after && places.get(after))
    this.#keyOf = keyOf
    this.#rankOf = rankOf
  }

  /** How many different attempts were made. */
  get attempts(): number {
    return this.#made.size
  }

  check(initial: State): Failure | undefined {
    const total = this.#certain.length
    const stack = [this.#frame({ base: 0, ahead: [], open: [], state: this.#idOf(initial) }, undefined)]
    let best = stack[0] as Frame
    for (let frame = stack.at(-1); frame; frame = stack.at(-1)) {
      if (frame.attempt.base === total) return undefined
      if (this.#made.size > MOST_ATTEMPTS) return this.#failure(best, true)
      const candidate = frame.candidates[frame.tried++]
      if (candidate === undefined) {
        stack.pop()
        continue
      }
      const attempt = this.#with(frame.attempt, candidate)
      if (!attempt) continue
      const next = this.#frame(attempt, trailOf(this.#step(candidate), frame.trail))
      if (!this.#isNew(next.attempt)) continue
      if (this.#rankOf(this.#states[next.attempt.state] as State) > next.highestRank) continue
      if (next.deadline > best.deadline) best = next
      stack.push(next)
    }
    return this.#failure(best, false)
  }

  /** Doubtful steps are numbered below zero. */
  #step(candidate: number): Step<State> {
    return (candidate < 0 ? this.#doubtful[-1 - candidate] : this.#certain[candidate]) as Step<State>
  }

  /**
   * A step that changes nothing is done as soon as its answer fits: whatever comes later loses nothing by it, unless it is
   * the last moment of a doubtful step.
   */
  #frame(attempt: Attempt, trail: Trail | undefined): Frame {
    let [reached, path] = [attempt, trail]
    let before = doneIn(reached)
    for (;;) {
      const { candidates, deadline, highestRank } = this.#candidates(reached)
      const loud: number[] = []
      for (const index of candidates) {
        const step = this.#step(index)
        const isFree = step.isSilent && !this.#isLast(step, reached)
        const next = isFree ? this.#with(reached, index) : undefined
        if (next) [reached, path] = [next, trailOf(step, path)]
        else if (!isFree) loud.push(index)
      }
      if (doneIn(reached) > before) {
        before = doneIn(reached)
        continue
      }
      loud.sort((a, b) => this.#step(a).answered - this.#step(b).answered)
      return { attempt: reached, deadline, highestRank, trail: path, candidates: loud, tried: 0 }
    }
  }

  /** Whatever was begun before the first answer that is still to be explained. */
  #candidates(attempt: Attempt): Pick<Frame, 'deadline' | 'highestRank'> & { candidates: number[] } {
    const { base, ahead, open } = attempt
    const candidates: number[] = []
    let deadline = Number.POSITIVE_INFINITY
    let highestRank = Number.POSITIVE_INFINITY
    for (let index = base; index < this.#certain.length; index++) {
      const step = this.#certain[index] as Step<State>
      if (step.begun > deadline) break
      if (ahead.includes(index)) continue
      deadline = Math.min(deadline, step.answered)
      highestRank = Math.min(highestRank, step.highestRank)
      const before = this.#before[index]
      if (before === undefined || before < base || ahead.includes(before)) candidates.push(index)
    }
    for (const [index, step] of this.#doubtful.entries()) {
      if (step.begun > deadline) break
      if (!open.includes(index) && !this.#isOver(step, attempt)) candidates.push(-1 - index)
    }
    return { candidates, deadline, highestRank }
  }

  /** Whether a doubtful step that is not done can only come before this one. */
  #isLast({ begun }: Step<State>, attempt: Attempt): boolean {
    return this.#doubtful.some(
      (step, index) => step.answered < begun && !attempt.open.includes(index) && !this.#isOver(step, attempt),
    )
  }

  /** Once a later one is done. */
  #isOver({ answered }: Step<State>, { base, ahead }: Attempt): boolean {
    const last = this.#certain[ahead.at(-1) ?? base - 1]
    return last !== undefined && answered < last.begun
  }

  #with({ base, ahead, open, state }: Attempt, candidate: number): Attempt | undefined {
    const next = this.#next(state, candidate)
    if (next < 0) return undefined
    // That a step which nobody saw changed nothing is as good as that it did not happen.
    if (candidate < 0) {
      if (next === state) return undefined
      return { base, ahead, open: [...open, -1 - candidate].sort(ascending), state: next }
    }
    if (candidate !== base) {
      return { base, ahead: [...ahead, candidate].sort(ascending), open, state: next }
    }
    let first = base + 1
    let passed = 0
    while (ahead[passed] === first) {
      first++
      passed++
    }
    return { base: first, ahead: ahead.slice(passed), open, state: next }
  }

  #next(state: number, candidate: number): number {
    this.#nexts[state] ??= []
    const known = this.#nexts[state] as number[]
    const at = candidate < 0 ? this.#certain.length - candidate : candidate
    known[at] ??= this.#idOf(this.#step(candidate).next(this.#states[state] as State))
    return known[at]
  }

  #idOf(state: State | undefined): number {
    if (state === undefined) return -1
    const key = this.#keyOf(state)
    const known = this.#ids.get(key)
    if (known !== undefined) return known
    this.#ids.set(key, this.#states.length)
    return this.#states.push(state) - 1
  }

  #isNew(attempt: Attempt): boolean {
    const { base, ahead, state } = attempt
    const open = attempt.open.filter(index => !this.#isOver(this.#doubtful[index] as Step<State>, attempt))
    const size = this.#made.size
    this.#made.add(`${base}|${ahead.join()}|${open.join()}|${state}`)
    return this.#made.size > size
  }

  #failure({ attempt, trail }: Frame, isUndecided: boolean): Failure {
    const shown = (candidates: number[]) => candidates.map(index => `  ${this.#step(index).shown}`)
    const lines = [
      isUndecided
        ? `No order was found in ${MOST_ATTEMPTS} attempts; the longest got stuck:`
        : 'No order of the steps explains the answers. The longest attempt got stuck:',
      `after ${doneIn(attempt)} of ${this.#certain.length} certain steps, the last of them`,
      ...lastOf(trail, 12).map(step => `  ${step}`),
      'with',
      `  ${this.#keyOf(this.#states[attempt.state] as State)}`,
      'which explains none of',
      ...shown(this.#candidates(attempt).candidates),
    ]
    return { reason: lines.join('\n'), isUndecided }
  }
}

function ascending(a: number, b: number): number {
  return a - b
}

function doneIn({ base, ahead }: Attempt): number {
  return base + ahead.length
}

function trailOf({ shown }: Step<unknown>, before: Trail | undefined): Trail {
  return { step: shown, before, length: (before?.length ?? 0) + 1 }
}

function lastOf(trail: Trail | undefined, count: number): string[] {
  if (!trail || count === 0) return []
  return [...lastOf(trail.before, count - 1), trail.step]
}
