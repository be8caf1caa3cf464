import { CommandError } from '../../../src/errors.ts'
import type { Change } from '../../../src/language/change.ts'
import { addCommand, type CommandName } from '../../../src/language/commands.ts'
import { excerpt, valueAt } from '../../../src/language/excerpt.ts'
import { Fold, touchedPaths } from '../../../src/language/fold.ts'
import { holds } from '../../../src/language/guard.ts'
import { applied } from '../../../src/language/operators.ts'
import type { Path } from '../../../src/language/paths.ts'
import type { Fields } from '../../../src/language/values.ts'
import type { Answer, Done } from './asker.ts'
import type { Step } from './checker.ts'
import type { Observation } from './history.ts'
import { type Call, type Request, shown } from './requests.ts'

/** A session lives, with these fields, until it has ended for good. */
export type State = Fields | 'ended'

type Next = Step<State>['next']
type Body = Done['body']

const keys = new WeakMap<Fields, string>()

export function keyOf(state: State): string {
  if (state === 'ended') return state
  const known = keys.get(state) ?? canonical(state)
  keys.set(state, known)
  return known
}

/** How many counted changes a state has seen; `ops` only rises, and nothing comes after the end. */
export function rankOf(state: State): number {
  return state === 'ended' ? Number.POSITIVE_INFINITY : Number(state.ops)
}

/** The most of them that the state has which gives the answer, where it shows them. */
function highestRank(request: Request, answer: Answer): number {
  if (answer.outcome !== 'done') return Number.POSITIVE_INFINITY
  const { fields, after, result, values, hasLost } = answer.body
  // A loaded session that was not read again shows what was before.
  if (result === null || hasLost) return Number.POSITIVE_INFINITY
  const ops =
    request.kind === 'get'
      ? (values as unknown[])[request.paths.indexOf('ops')]
      : ((fields ?? after ?? result) as Fields | undefined)?.ops
  return typeof ops === 'number' ? ops : Number.POSITIVE_INFINITY
}

/** The atomic steps that a request consists of, which must explain its answer. */
export function stepsOf(observation: Observation): Step<State>[] {
  const { request, answer, begun, client } = observation
  const isDoubtful = answer.outcome === 'unknown'
  const answered = isDoubtful && !answer.isOver ? Number.POSITIVE_INFINITY : observation.answered
  const asShown = `[${begun}-${observation.answered}] client ${client}: ${shown(request)} -> ${JSON.stringify(
    answer.outcome === 'done' ? answer.body : answer.outcome,
  )}`
  const common = { begun, answered, isDoubtful, shown: asShown, highestRank: highestRank(request, answer) }
  const steps: Step<State>[] = []
  for (const [next, isSilent] of partsOf(request, answer)) {
    const after = steps.at(-1)
    steps.push({ ...common, next, isSilent, ...(after && { after }) })
  }
  return steps
}

function partsOf(request: Request, answer: Answer): [Next, isSilent: boolean][] {
  if (answer.outcome === 'ended') return [[state => (state === 'ended' ? state : undefined), true]]
  if (request.kind === 'commands') return commandParts(request, answer)
  // Whether reading failed tells nothing.
  if (request.kind === 'read' || request.kind === 'get') {
    return answer.outcome === 'done' ? [[readingOf(request, answer.body), true]] : []
  }
  if (request.kind === 'once') return onceParts(request, answer)
  if (answer.outcome === 'unknown') return [[() => 'ended', false]]
  // No command was asked for that could be refused.
  if (answer.outcome === 'refused') return [[() => undefined, true]]
  const { body } = answer as Done
  return [[request.kind === 'destroy' ? () => 'ended' : regenerationOf(request.keep, body), false]]
}

function readingOf(request: Request & { kind: 'read' | 'get' }, body: Body): Next {
  if (request.kind === 'read') return showing(body.fields, body.isNew === true)
  const key = canonical(body.values)
  return state => {
    const fields = state === 'ended' ? {} : state
    const values = request.paths.map(path => valueAt(fields, path) ?? null)
    return canonical(values) === key ? state : undefined
  }
}

/** A value that was there is the result. Where there was none, this request got the lease, and its value is stored later. */
function onceParts({ path, value }: Request & { kind: 'once' }, answer: Answer): [Next, isSilent: boolean][] {
  const stored: Next = state => (state === 'ended' ? undefined : { ...state, [path]: value })
  if (answer.outcome !== 'done') return [[stored, false]]
  const there = (state: State) => (state === 'ended' ? undefined : valueAt(state, path))
  const { value: result } = answer.body
  if (result !== value) return [[state => (there(state) === result ? state : undefined), true]]
  const missing: Next = state => (state !== 'ended' && there(state) === undefined ? state : undefined)
  return [
    [missing, true],
    [stored, false],
  ]
}

/** An ended session reads as an empty one that is not stored. */
function showing(fields: unknown, isNew?: boolean): Next {
  const key = canonical(fields)
  return state => {
    const isEnded = state === 'ended'
    if (isNew !== undefined && isNew !== isEnded) return undefined
    return keyOf(isEnded ? {} : state) === key ? state : undefined
  }
}

/** What is kept is what was there at the very moment the old session ended; of an ended one, nothing. */
function regenerationOf(keep: boolean | readonly string[], { fields }: Body): Next {
  const key = canonical(fields)
  return state => {
    const all = state === 'ended' ? {} : state
    const kept = keep === true ? all : keep === false ? {} : excerpt(all, keep)
    return canonical(kept) === key ? 'ended' : undefined
  }
}

function commandParts(
  { calls, manner }: Request & { kind: 'commands' },
  answer: Answer,
): [Next, isSilent: boolean][] {
  const { change, taken } = foldedOf(calls)
  if (answer.outcome !== 'done') {
    const refusing: Next = state => (resultOf(state, change) === 'refused' ? state : undefined)
    if (answer.outcome === 'refused') return [[refusing, true]]
    return [[state => changedBy(state, change) ?? undefined, false]]
  }
  const { body } = answer
  if (manner === 'unawaited') return [[acknowledgementOf(change), false]]
  const isNull = body.result === null
  const key = canonical(body.result)
  const expected: Next = state => {
    const after = changedBy(state, change)
    if (after === undefined || state === 'ended') return undefined
    if (after === null || isNull) return after === null && isNull ? state : undefined
    if (taken === undefined && manner === 'loaded') return after
    const result =
      taken === undefined ? excerpt(after as Fields, touchedPaths(change.operations)) : valueAt(state, taken)
    return canonical(result) === key ? after : undefined
  }
  // Nothing was there to take, so that a chain of this one command changed nothing.
  const tookNothing = change.operations.length === 1 && taken !== undefined && body.result === undefined
  const command: [Next, boolean] = [expected, isNull || tookNothing]
  if (manner === 'handle') return [command]
  const before: [Next, boolean] = [showing(body.before), true]
  // A guard that does not hold leaves the picture as it was.
  if (isNull) return [before, command]
  const after: [Next, boolean] = [showing(body.after), true]
  // So does a read that failed after something was taken.
  return body.hasLost && taken !== undefined ? [before, after, command] : [before, command, after]
}

/** Unawaited, a chain whose guard does not hold is acknowledged like any other. */
function acknowledgementOf(change: Change): Next {
  return state => {
    const after = changedBy(state, change)
    return after === null ? state : after
  }
}

/** The state after the change; `null` where a guard does not hold; `undefined` where it would be an error. */
function changedBy(state: State, change: Change): State | null | undefined {
  const result = resultOf(state, change)
  return result === 'refused' || result === 'ended' ? undefined : result
}

function resultOf(state: State, { guards, operations }: Change): Fields | null | 'refused' | 'ended' {
  if (state === 'ended') return 'ended'
  if (!holds(guards, state)) return null
  try {
    return applied(state, operations)
  } catch (error) {
    if (error instanceof CommandError) return 'refused'
    throw error
  }
}

function foldedOf(calls: readonly Call[]): { change: Change; taken: Path | undefined } {
  const fold = new Fold()
  for (const [name, ...args] of calls) {
    addCommand(fold, name as CommandName, args)
  }
  return { change: fold.change(), taken: fold.taken }
}

/** JSON in which the order of an object's keys does not show. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'undefined'
  const fields = value as Fields
  const pairs = Object.keys(fields)
    .sort()
    .map(key => `${JSON.stringify(key)}:${canonical(fields[key])}`)
  return `{${pairs.join()}}`
}
