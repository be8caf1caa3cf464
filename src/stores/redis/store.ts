import { ConfigurationError, IdTakenError } from '../../errors.ts'
import type { SessionId } from '../../ids.ts'
import { factoryOptions } from '../../language/calloptions.ts'
import { excerpt } from '../../language/excerpt.ts'
import { holds } from '../../language/guard.ts'
import type { Path } from '../../language/paths.ts'
import type { Fields } from '../../language/values.ts'
import { type CombinableStore, combined, type Hints, type Together } from '../../store/combining.ts'
import { givenIn } from '../../store/encoding.ts'
import type { Loaded, Read, Update } from '../../store/joining.ts'
import { isEnded, type SessionRecord, type Tombstone } from '../../store/record.ts'
import type { Answer, Outcome, Store } from '../../store/store.ts'
import { assertEncodable, bsonFor, sound } from '../bson.ts'
import type { Standing } from '../draft.ts'
import { decodeFields, encodeFields, type FieldBytes, sizeOfFields } from '../fieldbytes.ts'
import { Changes } from './changes.ts'
import { checkServers, warnOfSkew } from './checks.ts'
import { commandsOf, type RedisClient } from './client.ts'
import type { Commands } from './commands.ts'
import { fieldIn, STAMP } from './direct.ts'
import { redisError } from './errors.ts'
import { Finder } from './finding.ts'
import { type Head, headOf, headOfRecord, headOfTombstone, type Step, tombstoneOf } from './head.ts'
import { headsOf, Indexes } from './indexes.ts'
import { Reader } from './reading.ts'
import { DONE, end, insert, REFUSED, remove } from './scripts.ts'
import { Sender } from './sending.ts'

export interface RedisStoreOptions {
  /** A connected client of `redis` 5.12.1 or newer, `ioredis` 5.3 or newer or `iovalkey`: one server, sentinel or cluster. */
  readonly client: RedisClient
  /** What the keys begin with. Two apps that share a server need different ones. @default 'session:' */
  readonly prefix?: string
  /**
   * How many replicas must have a change before it is acknowledged (`WAIT`). If fewer have it in time, the call fails with the
   * outcome `'unknown'`.
   * @default 0
   */
  readonly replicas?: number
}

/**
 * Sessions in Redis or Valkey. Each session is one hash, and a change is one script on the fields that it touches.
 * @throws {ConfigurationError} for an option that cannot work.
 */
export function redisStore(options: RedisStoreOptions): Store & AsyncDisposable {
  const given = factoryOptions('redisStore', options, ['client', 'prefix', 'replicas'])
  const { client, prefix = 'session:', replicas = 0 } = given
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

class RedisStore implements CombinableStore<Standing> {
  readonly #commands: Commands
  readonly #prefix: string
  readonly #indexes: Indexes
  readonly #sender: Sender
  readonly #finder: Finder
  readonly #reader: Reader
  readonly #changes: Changes
  /** Of the indexes that are still to be completed. */
  readonly #timers = new Map<Path, NodeJS.Timeout>()
  #isClosed = false

  constructor(commands: Commands, prefix: string, replicas: number) {
    this.#commands = commands
    this.#prefix = prefix
    this.#indexes = new Indexes(commands, prefix)
    this.#sender = new Sender(commands, this.#indexes, replicas)
    this.#finder = new Finder(commands, this.#indexes, this.#sender, prefix)
    this.#reader = new Reader(commands, prefix)
    this.#changes = new Changes(prefix, this.#indexes, this.#sender, this.#finder, this.#reader)
  }

  async insert(record: SessionRecord): Promise<void> {
    assertEncodable(givenIn(record.fields))
    const until = performance.now() + this.#sender.timeout
    const fields = encodeFields(record.fields)
    if (!this.#indexes.isFresh) await this.#indexes.refresh()
    const { paths } = this.#indexes
    const life = { expires: record.expires.getTime(), maxAge: record.maxAge }
    const stands = paths.length > 0 ? await this.#finder.add(record.id, paths, fields, life) : 0
    const size = sizeOfFields(fields)
    const argument = (step: Step) => {
      const head = headOfRecord(record, size, stands, step)
      return insertion(step, life.expires, head, fields, record.rev)
    }
    const { status } = await this.#sender.send(insert, this.#prefix + record.id, argument, until)
    if (status === REFUSED) throw new IdTakenError('The id is taken')
  }

  async load(id: SessionId): Promise<Loaded> {
    const fields = new Map<string, Buffer>()
    let bytes: Buffer | undefined
    for (const [name, value] of await this.#reader.all(id)) {
      if (name === '_') bytes = value
      else fields.set(name, value)
    }
    const head = headOf(bytes, Date.now())
    if (!head || !bytes) return undefined
    return head.isEnded ? tombstoneOf(head, bytes) : sound(() => recordOf(id, head, decodedOf(fields)))
  }

  async read(id: SessionId, paths: readonly Path[]): Promise<Read> {
    const names = [...headsOf(paths)]
    const [bytes, ...values] = await this.#reader.some(id, names)
    const head = headOf(bytes, Date.now())
    if (!head || !bytes) return undefined
    if (head.isEnded) return tombstoneOf(head, bytes)
    const found = names.flatMap((name, index) => {
      const value = values[index]
      return value ? [[name, value] as const] : []
    })
    return sound(() => ({ rev: head.rev, fields: excerpt(decodedOf(found), paths) }))
  }

  /** Part of `Store`; the store that `combined` makes calls `updateTogether` instead. */
  async update(id: SessionId, change: Update['change'], answer?: Answer): Promise<Outcome> {
    const until = performance.now() + this.#sender.timeout
    const { results } = await this.updateTogether(id, [{ id, change, answer }], { until })
    const [result] = results
    if (result?.status === 'fulfilled') return result.value
    throw result?.reason
  }

  updateTogether(
    id: SessionId,
    updates: readonly Update[],
    hints: Hints<Standing>,
  ): Promise<Together<Standing>> {
    return this.#changes.make(id, updates, hints)
  }

  async end(id: SessionId, tombstone: Tombstone, stands: Date, rev = -1): Promise<boolean> {
    const until = performance.now() + this.#sender.timeout
    if (!this.#indexes.isFresh) await this.#indexes.refresh()
    const argument = (step: Step) => Buffer.concat([beginning(step, rev), headOfTombstone(tombstone, stands)])
    const { status } = await this.#sender.send(end, this.#prefix + id, argument, until)
    return status === DONE
  }

  async delete(id: SessionId): Promise<void> {
    const until = performance.now() + this.#sender.timeout
    if (!this.#indexes.isFresh) await this.#indexes.refresh()
    await this.#sender.send(remove, this.#prefix + id, beginning, until)
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

  /** Reads all sessions: Redis keeps no count. */
  async count(): Promise<number> {
    const seen = new Set<SessionId>()
    for await (const ids of this.#finder.all()) {
      const heads = await Promise.all(ids.map(id => this.#reader.some(id, [])))
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
      // INFO may be forbidden; then nothing can be checked.
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
    const left = await this.#finder.complete(user, id => this.#changes.index(id))
    if (left !== undefined) this.#completeIn(left, user)
  }

  /** Where it fails it is tried again: without a complete index, `find` looks at all sessions. */
  #completeIn(ms: number, user: Path): void {
    clearTimeout(this.#timers.get(user))
    if (this.#isClosed) return
    const again = () => this.#completeIn(this.#sender.timeout, user)
    this.#timers.set(user, setTimeout(() => void this.#complete(user).catch(again), ms).unref())
  }

  async isIndexed(user?: Path): Promise<boolean> {
    return user === undefined || this.#finder.isDeclared(user)
  }

  useTimeout(ms: number): void {
    this.#sender.timeout = ms
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const timer of this.#timers.values()) clearTimeout(timer)
  }
}

/** How the arguments of the scripts `insert`, `end` and `remove` begin. */
function beginning({ process, number, until }: Step, ...more: readonly number[]): Buffer {
  const bytes = Buffer.alloc(24 + 8 * more.length)
  bytes.set(process)
  for (const [index, one] of [number, until, ...more].entries()) bytes.writeDoubleLE(one, 8 + 8 * index)
  return bytes
}

/** The argument of the script `insert`. */
function insertion(
  step: Step,
  expires: number,
  head: Buffer,
  fields: ReadonlyMap<string, FieldBytes>,
  rev: number,
): Buffer {
  const stamp = Buffer.allocUnsafe(STAMP)
  stamp.writeDoubleLE(rev)
  const parts: Uint8Array[] = [beginning(step, expires), ...measured('_', [head])]
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

function decodedOf(stored: Iterable<readonly [name: string, value: Buffer]>): Fields {
  return decodeFields(Array.from(stored, ([name, value]) => [name, fieldIn(value).bytes] as const))
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
