import type { SessionId } from '../../ids.ts'
import type { Path } from '../../language/paths.ts'
import type { Fields } from '../../language/values.ts'
import { decodeFieldsExactly, type FieldBytes } from '../fieldbytes.ts'
import type { Commands } from './commands.ts'
import { redisError } from './errors.ts'
import { headsOf, type Indexes } from './indexes.ts'
import { addMember, members } from './scripts.ts'
import type { Sender } from './sending.ts'
import { userSet, userSets } from './users.ts'

/**
 * Milliseconds after which all processes follow a new index: each asks for what is declared more often than that, and what it
 * sent before is done or never will be.
 */
const SPREAD = 15_000

const idShape = /^[0-9a-f]{64}$/

/** The sessions of each user. An entry is there before its session has the user, and as long as that may live. */
export class Finder {
  readonly #commands: Commands
  readonly #indexes: Indexes
  readonly #sender: Sender
  readonly #prefix: string

  constructor(commands: Commands, indexes: Indexes, sender: Sender, prefix: string) {
    this.#commands = commands
    this.#indexes = indexes
    this.#sender = sender
    this.#prefix = prefix
  }

  /** Adds what these fields say. Tells until when the entries stand: for ever, where they say nothing of a user. */
  async add(
    id: SessionId,
    paths: readonly Path[],
    fields: Iterable<readonly [string, FieldBytes]>,
    life: { readonly expires: number; readonly maxAge: number },
  ): Promise<number> {
    const heads = headsOf(paths)
    const named = [...fields].filter(([name]) => heads.has(name))
    if (named.length === 0) return Number.POSITIVE_INFINITY
    const values: Fields = decodeFieldsExactly(named)
    const sets = new Set(paths.flatMap(path => userSet(path, values) ?? []))
    if (sets.size === 0) return Number.POSITIVE_INFINITY
    // Past the end, so that a session in use is not added again by each change that extends it.
    const stands = Math.max(life.expires, this.#indexes.now()) + 2 * life.maxAge
    const all = [...sets].map(set =>
      this.#sender.repeatable(addMember, this.#prefix + set, [id, String(stands)]),
    )
    await Promise.all(all)
    return stands
  }

  /** The ids among which those of the sessions are that have this value there: perhaps each more than once, perhaps others too. */
  async *among(path: Path, value: unknown): AsyncGenerator<SessionId[]> {
    const index = await this.#indexes.of(path)
    const sets = index?.isComplete ? userSets(path, value) : undefined
    if (!sets) {
      yield* this.all()
      return
    }
    for (const set of sets) {
      let cursor = '0'
      do {
        const [next, pairs] = (await this.#read(this.#prefix + set, cursor)) as [unknown, unknown[]]
        cursor = String(next)
        yield pairs.filter((_, index) => index % 2 === 0).map(String)
      } while (cursor !== '0')
    }
  }

  async #read(key: string, cursor: string): Promise<unknown> {
    try {
      return (await this.#commands.run(members, key, [cursor])).reply
    } catch (error) {
      throw redisError(error, 'none', false)
    }
  }

  /** Of all sessions. */
  async *all(): AsyncGenerator<SessionId[]> {
    try {
      for await (const keys of this.#commands.scan(this.#prefix)) {
        yield keys.map(key => key.slice(this.#prefix.length)).filter(id => idShape.test(id))
      }
    } catch (error) {
      throw redisError(error, 'none', false)
    }
  }

  /** Declares an index by a path. */
  async declare(path: Path): Promise<void> {
    await this.#indexes.declare(path)
  }

  /**
   * Adds the sessions from before an index was declared, by `index`, once all processes follow it: then it is complete. Tells after
   * how many milliseconds that may be done; nothing where nothing is left to do.
   */
  async complete(path: Path, index: (id: SessionId) => Promise<void>): Promise<number | undefined> {
    const declared = await this.#indexes.of(path)
    if (!declared || declared.isComplete) return undefined
    const left = declared.since + SPREAD + this.#sender.timeout - this.#indexes.now()
    if (left > 0) return left
    for await (const ids of this.all()) await Promise.all(ids.map(index))
    await this.#indexes.complete(path, declared)
    return undefined
  }

  async isDeclared(path: Path): Promise<boolean> {
    return (await this.#indexes.of(path)) !== undefined
  }
}
