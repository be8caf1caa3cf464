import { StoreUnavailableError } from '../../errors.ts'
import { excerpt } from '../../language/excerpt.ts'
import { partsOf } from '../../language/paths.ts'
import type { Together } from '../../store/combining.ts'
import type { Update } from '../../store/joining.ts'
import { otherLifetime } from '../../store/record.ts'
import type { Outcome } from '../../store/store.ts'
import { sound } from '../bson.ts'
import { draftOf, type Standing, type StoredField } from '../draft.ts'
import { damaged } from '../elements.ts'
import { decodeFields, encodeField, type FieldBytes } from '../fieldbytes.ts'
import { swapped } from '../swapping.ts'
import type { Head } from './head.ts'
import type { Asking, Program } from './program.ts'
import type { Reply } from './replies.ts'
import { ABSENT, DONE, ENDED, REFUSED, REPEATED } from './scripts.ts'
import { setBy, wantedOf } from './simple.ts'

// What a reply to a program of simple changes says of each of them.

/** Bytes before a value: the revision that wrote it. */
export const STAMP = 8

/** `undefined` if another program has damaged one of these fields. */
export function standingOf(
  head: Head,
  names: readonly string[],
  values: Reply['values'],
): Standing | undefined {
  return sound(() => {
    const fields = new Map<string, StoredField | undefined>()
    for (const [index, name] of names.entries()) {
      const value = values[index]
      fields.set(name, value ? fieldIn(value) : undefined)
    }
    const { rev, size, expires, maxAge } = head
    return { rev, size, expires, maxAge, fields }
  })
}

/** @throws {RangeError} if another program wrote the value. A stamp of -1 stands for no field, and NaN never equals itself. */
export function fieldIn(value: Buffer): StoredField {
  const stamp = value.readDoubleLE(0)
  if (!(stamp >= 0)) throw damaged()
  return { bytes: value.subarray(STAMP), stamp }
}

/** Of one change only what it answers with; of several all that they touch, as it was, so that each is worked out here once more. */
export function askingFor(updates: readonly Update[], program: Program): Asking {
  const [first] = updates
  if (updates.length > 1) return { answer: { wanted: program.names.length, isBefore: true } }
  if (!first?.answer) return {}
  return { answer: { wanted: wantedOf(first).size, isBefore: first.answer.when === 'before' } }
}

/** The outcomes; nothing where the server has left the changes to this process. */
export function outcomesOf(
  updates: readonly Update[],
  program: Program,
  reply: Reply,
): Together<Standing> | undefined {
  const { status, head, values } = reply
  if (status === ABSENT) return allAre(updates, 'absent')
  if (status === ENDED) return allAre(updates, 'ended')
  if (status === REFUSED) return allAre(updates, 'refused')
  if (status === REPEATED) return repeated(updates, reply)
  if (status !== DONE) return undefined
  const [first] = updates
  if (updates.length === 1 && first) {
    return { results: [{ status: 'fulfilled', value: outcomeOf(first, head, values) }] }
  }
  const standing = standingOf(head as Head, program.names, values)
  const draft = standing && draftOf(standing)
  // They are made, but nobody can tell what they have come to.
  if (!draft) return allAre(updates, 'absent')
  const results = updates.map(
    update => ({ status: 'fulfilled', value: draft.apply(update) }) satisfies PromiseSettledResult<Outcome>,
  )
  const swap = draft.swap()
  if (!swap) return { results }
  const { rev, size } = head as Head
  return {
    results,
    told: swapped({ rev: rev + swap.steps, size: size + swap.growth, ...swap.expected }, swap),
  }
}

/** A head is there where an answer was asked for, and where the change did not extend a session of another lifetime. */
function outcomeOf({ change, answer }: Update, head: Head | undefined, values: Reply['values']): Outcome {
  if (!head) return {}
  const other = otherLifetime(change, head.maxAge)
  if (!answer) return { ...other }
  const stored: [string, Buffer][] = []
  const wanted = wantedOf({ id: '', change, answer })
  for (const [index, name] of [...wanted].entries()) {
    const value = values[index]
    if (value) stored.push([name, value])
  }
  const sets: [string, FieldBytes][] = []
  for (const name of new Set(answer.paths.map(path => partsOf(path)[0] as string))) {
    const set = wanted.has(name) ? undefined : setBy(change, name)
    if (set) sets.push([name, encodeField(set.arg)])
  }
  const fields = sound(() => {
    const read = stored.map(([name, value]) => [name, fieldIn(value).bytes] as const)
    return excerpt(decodeFields([...read, ...sets]), answer.paths)
  })
  // The server has made the change, and the session is damaged all the same: it is absent, as when it is loaded.
  return fields ? { rev: head.rev + 1, fields, ...other } : 'absent'
}

/** The changes had been made already, and the answer was lost: what they did is known where nothing else came after them. */
function repeated(updates: readonly Update[], { head, values }: Reply): Together<Standing> {
  const [first] = updates
  const made = values.at(-1)?.readDoubleLE(0)
  if (updates.every(({ answer, change }) => !answer && change.whileMaxAge === undefined)) {
    return allAre(updates, {})
  }
  const { change, answer } = first as Update
  const isLast = head !== undefined && made === head.rev && updates.length === 1
  if (isLast && answer?.when !== 'before' && change.maxAge === undefined) {
    const before = { ...head, rev: head.rev - 1 }
    return {
      results: [{ status: 'fulfilled', value: outcomeOf(first as Update, before, values.slice(0, -1)) }],
    }
  }
  throw new StoreUnavailableError('The change was made, and what it answers with is lost', 'unknown')
}

function allAre(updates: readonly Update[], value: Outcome): Together<Standing> {
  return { results: updates.map(() => ({ status: 'fulfilled', value })) }
}
