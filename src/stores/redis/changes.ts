import { StoreUnavailableError } from '../../errors.ts'
import type { SessionId } from '../../ids.ts'
import type { Hints, Together } from '../../store/combining.ts'
import { givenBy } from '../../store/encoding.ts'
import type { Update } from '../../store/joining.ts'
import { assertEncodable, sound } from '../bson.ts'
import type { Life, Standing, Swap } from '../draft.ts'
import { decodeFieldsExactly } from '../fieldbytes.ts'
import { type FieldStore, type Missing, type Moved, type Swapped, updateFields } from '../swapping.ts'
import { change } from './change.ts'
import { askingFor, outcomesOf, standingOf } from './direct.ts'
import type { Finder } from './finding.ts'
import { headOf } from './head.ts'
import { headsOf, type Indexes } from './indexes.ts'
import { type Asking, Program } from './program.ts'
import type { Reader } from './reading.ts'
import type { Reply } from './replies.ts'
import { ABSENT, ENDED, MOVED, REPEATED, UNINDEXED } from './scripts.ts'
import type { Sender } from './sending.ts'
import { simpleProgram } from './simple.ts'

/** So many tries to bring the index by user up to date before a change. */
const MAX_INDEXINGS = 5

/** Of the reply to a swap: what it wrote is known, and what else the session is. */
const headOnly: Asking = { answer: { wanted: 0, isBefore: true } }

const noLife: Life = { expires: 0, maxAge: 0 }

/** Changes to sessions: by the server alone where they are simple, otherwise by swapping the fields that they touch. */
export class Changes implements FieldStore {
  readonly #prefix: string
  readonly #indexes: Indexes
  readonly #sender: Sender
  readonly #finder: Finder
  readonly #reader: Reader

  constructor(prefix: string, indexes: Indexes, sender: Sender, finder: Finder, reader: Reader) {
    this.#prefix = prefix
    this.#indexes = indexes
    this.#sender = sender
    this.#finder = finder
    this.#reader = reader
  }

  async make(
    id: SessionId,
    updates: readonly Update[],
    { told, until }: Hints<Standing>,
  ): Promise<Together<Standing>> {
    if (!this.#indexes.isFresh) await this.#indexes.refresh()
    const { heads } = this.#indexes
    const program = areEncodable(updates) ? simpleProgram(updates, name => heads.has(name)) : undefined
    if (!program) return updateFields(this, id, updates, { until, ...(told && { told }) })
    const reply = await this.#run(id, program, updates.length, askingFor(updates, program), updates, until)
    const outcomes = outcomesOf(updates, program, reply)
    if (outcomes) return outcomes
    const fresh = reply.head && standingOf(reply.head, program.names, reply.values)
    return updateFields(this, id, updates, { until, ...(fresh && { fresh }) })
  }

  /** The exact size is what is stored. */
  async readFields(id: SessionId, names: readonly string[]): Promise<Standing | Missing> {
    const [bytes, ...values] = await this.#reader.some(id, names)
    const head = headOf(bytes, this.#indexes.now())
    if (!head) return 'absent'
    return head.isEnded ? 'ended' : (standingOf(head, names, values) ?? 'absent')
  }

  async swapFields(id: SessionId, swap: Swap, until: number): Promise<Swapped | Moved | Missing> {
    if (!this.#indexes.isFresh) await this.#indexes.refresh()
    const { heads, paths } = this.#indexes
    const program = programOf(swap)
    if ([...swap.set.keys()].some(name => heads.has(name))) {
      const after = [...swap.seen].flatMap(([name, field]) => {
        const bytes = swap.set.get(name) ?? (swap.unset.includes(name) ? undefined : field?.bytes)
        return bytes ? [[name, bytes] as const] : []
      })
      program.indexed(await this.#finder.add(id, paths, after, swap.expected), false)
    }
    const reply = await this.#run(id, program, swap.steps, headOnly, swap.expected, until)
    const { status, head, values } = reply
    if (status === ABSENT) return 'absent'
    if (status === ENDED) return 'ended'
    if (status === MOVED) {
      const standing = head && standingOf(head, program.names, values)
      return { isMoved: true, ...(standing && { standing }) }
    }
    const made = status === REPEATED ? values.at(-1)?.readDoubleLE(0) : undefined
    if (!head) throw new StoreUnavailableError('The reply of Redis cannot be read', 'unknown')
    const { expires, maxAge } = swap.life?.after ?? head
    return {
      rev: made ?? head.rev + swap.steps,
      size: made === undefined ? head.size + swap.growth : head.size,
      expires,
      maxAge,
    }
  }

  now(): number {
    return this.#indexes.now()
  }

  /** Adds a session from before an index was declared. */
  async index(id: SessionId): Promise<void> {
    for (let tries = 0; tries < MAX_INDEXINGS; tries++) {
      const program = new Program()
      if (await this.#addTo(program, id, noLife)) return
      const reply = await this.#run(id, program, 0, {}, noLife)
      if (reply.status !== MOVED) return
    }
  }

  /** Runs a program; first, where the session would outlive them, renews its entries in the indexes. */
  async #run(
    id: SessionId,
    program: Program,
    moves: number,
    asking: Asking,
    wanted: Life | readonly Update[],
    until?: number,
  ): Promise<Reply> {
    const all: Asking = {
      ...asking,
      isIndexed: this.#indexes.paths.length > 0,
      isText: this.#sender.repliesInText,
    }
    for (let tries = 0; tries < MAX_INDEXINGS; tries++) {
      const reply = await this.#sender.send(
        change,
        this.#prefix + id,
        step => program.argument(step, moves, all),
        until,
      )
      if (reply.status !== UNINDEXED) return reply
      const missing = await this.#addTo(program, id, lifeOf(wanted))
      if (missing) return { status: missing === 'ended' ? ENDED : ABSENT, values: [] }
    }
    throw new StoreUnavailableError("The session's user keeps changing", 'none')
  }

  /** Adds a session to the indexes as it is, and has the program say so if it is still so then. Nothing can be added where it is missing. */
  async #addTo(program: Program, id: SessionId, life: Life): Promise<Missing | undefined> {
    const { paths } = this.#indexes
    const names = [...headsOf(paths)]
    const found = await this.readFields(id, names)
    if (typeof found === 'string') return found
    const fields = [...found.fields].flatMap(([name, field]) => (field ? [[name, field.bytes] as const] : []))
    if (!sound(() => decodeFieldsExactly(fields))) return 'absent'
    const stands = await this.#finder.add(id, paths, fields, {
      expires: Math.max(life.expires, found.expires),
      maxAge: Math.max(life.maxAge, found.maxAge),
    })
    for (const name of names) program.check(name, found.fields.get(name)?.stamp ?? -1)
    program.indexed(stands, true)
    return undefined
  }
}

function programOf({ rev, isRevFixed, seen, size, life, set, unset }: Swap): Program {
  const program = new Program()
  for (const [name, field] of seen) program.check(name, field?.stamp ?? -1)
  if (isRevFixed) program.revision(rev, false)
  if (size.above > Number.NEGATIVE_INFINITY || size.atMost < Number.POSITIVE_INFINITY) {
    program.size(size.above, size.atMost)
  }
  if (life) program.life(life.before, life.after)
  for (const [name, bytes] of set) program.set(name, bytes)
  for (const name of unset) program.unset(name)
  return program
}

/** The longest life that any of these changes may give the session. */
function lifeOf(wanted: Life | readonly Update[]): Life {
  if ('expires' in wanted) return wanted
  let { expires, maxAge } = noLife
  for (const { change } of wanted) {
    expires = Math.max(expires, change.expires?.getTime() ?? 0)
    maxAge = Math.max(maxAge, change.maxAge ?? 0)
  }
  return { expires, maxAge }
}

function areEncodable(updates: readonly Update[]): boolean {
  try {
    for (const { change } of updates) assertEncodable(givenBy(change))
    return true
  } catch {
    return false
  }
}
