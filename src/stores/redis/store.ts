import { ConfigurationError, IdTakenError, StoreUnavailableError } from '../../errors.ts'
import type { SessionId } from '../../ids.ts'
import { excerpt } from '../../language/excerpt.ts'
import { holds } from '../../language/guard.ts'
import type { Path } from '../../language/paths.ts'
import type { Fields } from '../../language/values.ts'
import { type CombinableStore, combined, type Hints, type Together } from '../../store/combining.ts'
import { givenBy, givenIn } from '../../store/encoding.ts'
import type { Loaded, Read, Update } from '../../store/joining.ts'
import { isEnded, type SessionRecord, type Tombstone } from '../../store/record.ts'
import type { Answer, Outcome, Store } from '../../store/store.ts'
import { assertEncodable, bsonFor } from '../bson.ts'
import type { Life, Standing, Swap } from '../draft.ts'
import { decodeFields, encodeFields, type FieldBytes, sizeOfFields } from '../fieldbytes.ts'
import { type FieldStore, type Missing, type Moved, type Swapped, updateFields } from '../swapping.ts'
import { checkServers, warnOfSkew } from './checks.ts'
import { commandsOf, type RedisClient } from './client.ts'
import type { Commands } from './commands.ts'
import { askingFor, outcomesOf, STAMP, standingOf } from './direct.ts'
import { isOfAnotherType, redisError } from './errors.ts'
import { Finder, headsOf } from './finding.ts'
import { type Head, headOf, headOfRecord, headOfTombstone, type Step, tombstoneOf } from './head.ts'
import { Indexes } from './indexes.ts'
import { type Asking, Program } from './program.ts'
import { pairsOf, type Reply } from './replies.ts'
import {
  ABSENT,
  change,
  DONE,
  ENDED,
  end,
  insert,
  MOVED,
  REFUSED,
  REPEATED,
  readAll,
  readSome,
  remove,
  UNINDEXED,
} from './scripts.ts'
import { Sender } from './sending.ts'
import { simpleProgram } from './simple.ts'

export interface RedisStoreOptions {
  /** A connected client of `redis` 5 or newer, `ioredis` 5 or newer or `iovalkey`: one server, sentinel or cluster. */
  readonly client: RedisClient
  /** What the keys begin with. Two apps that share a server need different ones. @default 'session:' */
  readonly prefix?: string
  /**
   * So many replicas have to have a change before it is acknowledged (`WAIT`). With fewer in time, its outcome is `'unknown'`.
   * @default 0
   */
  readonly replicas?: number
}

/**
 * Sessions in Redis or Valkey, one hash each; a change is one script on the fields that it touches.
 * @throws {ConfigurationError} for an option that cannot work.
 */
export function redisStore({
  client,
  prefix = 'session:',
  replicas = 0,
}: RedisStoreOptions): Store & AsyncDisposable {
  if (typeof prefix !== 'string' || /[{}]/.test(prefix)) {
    throw new ConfigurationError(
      'prefix is not a text without braces, which would put all sessions on one node of a cluster',
    )
  }
  if (!Number.isInteger(replicas) || replicas < 0) {
    throw new ConfigurationError(`replicas is not a number of replicas: ${String(replicas)}`)
  }
  bsonFor('redisStore')
  return combined(new RedisStore(commandsOf(client), prefix, replicas))
}

/** So many tries to bring the index by user up to date before a change. */
const MAX_INDEXINGS = 5

/** Of the reply to a swap: what it wrote is known, and what else the session is. */
const headOnly: Asking = { answer: { wanted: 0, isBefore: true } }

class RedisStore implements FieldStore, CombinableStore<Standing> {
  readonly #commands: Commands
  readonly #prefix: string
  readonly #indexes: Indexes
  readonly #sender: Sender
  readonly #finder: Finder
  #timer: NodeJS.Timeout | undefined

  constructor(commands: Commands, prefix: string, replicas: number) {
    this.#commands = commands
    this.#prefix = prefix
    this.#indexes = new Indexes(commands, prefix)
    this.#sender = new Sender(commands, this.#indexes, replicas)
    this.#finder = new Finder(commands, this.#indexes, this.#sender, prefix)
  }

  async insert(record: SessionRecord): Promise<void> {
    assertEncodable(givenIn(record.fields))
    const fields = encodeFields(record.fields)
    const paths = await this.#indexes.paths()
    const life = { expires: record.expires.getTime(), maxAge: record.maxAge }
    const stands = paths.length > 0 ? await this.#finder.add(record.id, paths, fields, life) : 0
    const size = sizeOfFields(fields)
    const { status } = await this.#sender.send(insert, this.#prefix + record.id, step => {
      const head = headOfRecord(record, size, stands, step)
      return insertion(step, life.expires, head, fields, record.rev)
    })
    if (status === REFUSED) throw new IdTakenError('The id is taken')
  }

  async load(id: SessionId): Promise<Loaded> {
    const reply = await this.#read(
      () => this.#commands.hgetall(this.#prefix + id),
      async () => (await this.#commands.run(readAll, this.#prefix + id, [])).reply,
    )
    const fields = new Map<string, FieldBytes>()
    let bytes: Buffer | undefined
    for (const [name, value] of pairsOf(reply)) {
      if (name === '_') bytes = value
      else fields.set(name, value.subarray(STAMP))
    }
    const head = headOf(bytes, Date.now())
    if (!head || !bytes) return undefined
    return head.isEnded ? tombstoneOf(head, bytes) : recordOf(id, head, decodeFields(fields))
  }

  async read(id: SessionId, paths: readonly Path[]): Promise<Read> {
    const names = [...headsOf(paths)]
    const [bytes, ...values] = await this.#fields(id, names)
    const head = headOf(bytes, Date.now())
    if (!head || !bytes) return undefined
    if (head.isEnded) return tombstoneOf(head, bytes)
    const found = names.flatMap((name, index) => {
      const value = values[index]
      return value ? [[name, value.subarray(STAMP)] as const] : []
    })
    return { rev: head.rev, fields: excerpt(decodeFields(found), paths) }
  }

  /** `combined` has all changes of a session by `updateTogether`. */
  async update(id: SessionId, change: Update['change'], answer?: Answer): Promise<Outcome> {
    const until = performance.now() + this.#sender.timeout
    const { results } = await this.updateTogether(id, [{ id, change, answer }], { until })
    const [result] = results
    if (result?.status === 'fulfilled') return result.value
    throw result?.reason
  }

  async updateTogether(
    id: SessionId,
    updates: readonly Update[],
    { told, until }: Hints<Standing>,
  ): Promise<Together<Standing>> {
    const paths = await this.#indexes.paths()
    const heads = headsOf(paths)
    const program = areEncodable(updates) ? simpleProgram(updates, name => heads.has(name)) : undefined
    if (!program) return updateFields(this, id, updates, { until, ...(told && { told }) })
    const life = { expires: 0, maxAge: 0 }
    for (const { change } of updates) {
      life.expires = Math.max(life.expires, change.expires?.getTime() ?? 0)
      life.maxAge = Math.max(life.maxAge, change.maxAge ?? 0)
    }
    const asking = askingFor(updates, program)
    const reply = await this.#change(id, program, updates.length, asking, life, until)
    if (reply === 'absent') return { results: updates.map(() => ({ status: 'fulfilled', value: reply })) }
    const outcomes = outcomesOf(updates, program, reply)
    if (outcomes) return outcomes
    const fresh = reply.head && standingOf(reply.head, program.names, reply.values)
    return updateFields(this, id, updates, { until, ...(fresh && { fresh }) })
  }

  /** The exact size is what is stored. */
  async readFields(id: SessionId, names: readonly string[]): Promise<Standing | Missing> {
    const [bytes, ...values] = await this.#fields(id, names)
    const head = headOf(bytes, this.#indexes.now())
    if (!head) return 'absent'
    return head.isEnded ? 'ended' : standingOf(head, names, values)
  }

  async swapFields(id: SessionId, swap: Swap, until: number): Promise<Swapped | Moved | Missing> {
    const paths = await this.#indexes.paths()
    const program = programOf(swap)
    const heads = headsOf(paths)
    if ([...swap.set.keys()].some(name => heads.has(name))) {
      const after = [...swap.seen].flatMap(([name, field]) => {
        const bytes = swap.set.get(name) ?? (swap.unset.includes(name) ? undefined : field?.bytes)
        return bytes ? [[name, bytes] as const] : []
      })
      program.indexed(await this.#finder.add(id, paths, after, swap.expected), false)
    }
    const reply = await this.#change(id, program, swap.steps, headOnly, swap.expected, until)
    if (reply === 'absent' || reply.status === ABSENT) return 'absent'
    const { status, head, values } = reply
    if (status === ENDED) return 'ended'
    if (status === MOVED) {
      return { isMoved: true, ...(head && { standing: standingOf(head, program.names, values) }) }
    }
    const made = status === REPEATED ? values.at(-1)?.readDoubleLE(0) : undefined
    if (!head) throw new StoreUnavailableError('The reply of Redis cannot be read', 'unknown')
    const life = swap.life?.after ?? head
    return {
      rev: made ?? head.rev + swap.steps,
      size: made === undefined ? head.size + swap.growth : head.size,
      expires: life.expires,
      maxAge: life.maxAge,
    }
  }

  now(): number {
    return this.#indexes.now()
  }

  /** Runs a program; first, where the session would outlive them, renews its entries in the indexes. */
  async #change(
    id: SessionId,
    program: Program,
    moves: number,
    asking: Asking,
    life: Life,
    until?: number,
  ): Promise<Reply | 'absent'> {
    const isIndexed = (await this.#indexes.paths()).length > 0
    for (let tries = 0; tries < MAX_INDEXINGS; tries++) {
      const reply = await this.#sender.send(
        change,
        this.#prefix + id,
        step => program.argument(step, moves, { ...asking, isIndexed, isText: this.#sender.repliesInText }),
        until,
      )
      if (reply.status !== UNINDEXED) return reply
      if (!(await this.#index(id, program, life))) return 'absent'
    }
    throw new StoreUnavailableError("The session's user keeps changing", 'none')
  }

  /** Adds a session to the indexes as it is, and has the program say so if it is still so then. */
  async #index(id: SessionId, program: Program, life: Life): Promise<boolean> {
    const paths = await this.#indexes.paths()
    const names = [...headsOf(paths)]
    const found = await this.readFields(id, names)
    if (typeof found === 'string') return false
    const fields = [...found.fields].flatMap(([name, field]) => (field ? [[name, field.bytes] as const] : []))
    const stands = await this.#finder.add(id, paths, fields, {
      expires: Math.max(life.expires, found.expires),
      maxAge: Math.max(life.maxAge, found.maxAge),
    })
    for (const name of names) program.check(name, found.fields.get(name)?.stamp ?? -1)
    program.indexed(stands, true)
    return true
  }

  async end(id: SessionId, tombstone: Tombstone, until: Date, rev = -1): Promise<boolean> {
    await this.#indexes.paths()
    const { status } = await this.#sender.send(end, this.#prefix + id, step => {
      const bytes = Buffer.allocUnsafe(32)
      bytes.set(step.process)
      bytes.writeDoubleLE(step.number, 8)
      bytes.writeDoubleLE(step.until, 16)
      bytes.writeDoubleLE(rev, 24)
      return Buffer.concat([bytes, headOfTombstone(tombstone, until, step)])
    })
    return status === DONE
  }

  async delete(id: SessionId): Promise<void> {
    await this.#sender.repeatable(remove, this.#prefix + id, [])
  }

  async *find(path: Path, value: unknown): AsyncGenerator<SessionRecord> {
    assertEncodable([[path, value]])
    const guards = [{ path, comparator: '=', arg: value }] as const
    const seen = new Set<SessionId>()
    for await (const ids of this.#finder.among(path, value)) {
      const unseen = ids.filter(id => !seen.has(id))
      for (const id of unseen) seen.add(id)
      for (const found of await Promise.all(unseen.map(id => this.load(id)))) {
        if (found && !isEnded(found) && holds(guards, found.fields)) yield found
      }
    }
  }

  /** By looking at all of them. */
  async count(): Promise<number> {
    const seen = new Set<SessionId>()
    for await (const ids of this.#finder.all()) {
      const heads = await Promise.all(ids.map(id => this.#fields(id, [])))
      for (const [index, [bytes]] of heads.entries()) {
        const head = headOf(bytes, Date.now())
        if (head && !head.isEnded) seen.add(ids[index] as SessionId)
      }
    }
    return seen.size
  }

  async ensureIndex(user?: Path): Promise<void> {
    await this.#indexes.ask()
    warnOfSkew(this.#indexes.now() - Date.now())
    const infos = await this.#commands.info().catch((error: unknown) => {
      // It may be forbidden; what cannot be asked is not judged.
      const failure = redisError(error, 'none', false)
      if (/^(?:NOPERM|ERR)\b/.test((error as Error).message)) return []
      throw failure
    })
    checkServers(infos)
    if (user === undefined) return
    await this.#finder.declare(user)
    await this.#complete(user)
  }

  async #complete(user: Path): Promise<void> {
    const left = await this.#finder.complete(user, id => this.#addToIndex(id))
    if (left === undefined) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#complete(user).catch(() => {}), left)
    this.#timer.unref()
  }

  async #addToIndex(id: SessionId): Promise<void> {
    for (let tries = 0; tries < MAX_INDEXINGS; tries++) {
      const program = new Program()
      if (!(await this.#index(id, program, { expires: 0, maxAge: 0 }))) return
      const reply = await this.#change(id, program, 0, {}, { expires: 0, maxAge: 0 })
      if (reply === 'absent' || reply.status !== MOVED) return
    }
  }

  async isIndexed(user?: Path): Promise<boolean> {
    return user === undefined || this.#finder.isDeclared(user)
  }

  useTimeout(ms: number): void {
    this.#sender.timeout = ms
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer)
  }

  async #fields(id: SessionId, names: readonly string[]): Promise<(Buffer | null | undefined)[]> {
    const reply = await this.#read(
      () => this.#commands.hmget(this.#prefix + id, ['_', ...names]),
      async () => (await this.#commands.run(readSome, this.#prefix + id, ['_', ...names])).reply,
    )
    return (reply ?? []) as (Buffer | null)[]
  }

  /** Of the primary: a replica may not know yet of a session that has been acknowledged. */
  async #read(plainly: () => Promise<unknown>, byScript: () => Promise<unknown>): Promise<unknown> {
    try {
      return await (this.#commands.readsElsewhere ? byScript() : plainly())
    } catch (error) {
      if (isOfAnotherType(error)) return undefined
      throw redisError(error, 'none', false)
    }
  }
}

/** The argument of the script that inserts. */
function insertion(
  { process, number, until }: Step,
  expires: number,
  head: Buffer,
  fields: ReadonlyMap<string, FieldBytes>,
  rev: number,
): Buffer {
  const start = Buffer.allocUnsafe(32)
  start.set(process)
  start.writeDoubleLE(number, 8)
  start.writeDoubleLE(until, 16)
  start.writeDoubleLE(expires, 24)
  const stamp = Buffer.allocUnsafe(STAMP)
  stamp.writeDoubleLE(rev)
  const parts: Uint8Array[] = [start, ...measured('_', [head])]
  for (const [name, bytes] of fields) parts.push(...measured(name, [stamp, bytes]))
  return Buffer.concat(parts)
}

function measured(name: string, value: readonly Uint8Array[]): Uint8Array[] {
  const key = Buffer.from(name)
  const lengths = [Buffer.allocUnsafe(2), Buffer.allocUnsafe(4)] as const
  lengths[0].writeUInt16LE(key.length)
  lengths[1].writeUInt32LE(value.reduce((sum, { length }) => sum + length, 0))
  return [lengths[0], key, lengths[1], ...value]
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

function areEncodable(updates: readonly Update[]): boolean {
  try {
    for (const { change } of updates) assertEncodable(givenBy(change))
    return true
  } catch {
    return false
  }
}

function recordOf(id: SessionId, head: Head, fields: Fields): SessionRecord {
  return {
    id,
    created: new Date(head.created),
    expires: new Date(head.expires),
    ...(head.absolute !== Number.POSITIVE_INFINITY && { absolute: new Date(head.absolute) }),
    maxAge: head.maxAge,
    rev: head.rev,
    fields,
  }
}
