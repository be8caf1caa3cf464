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
 * Milliseconds after which all processes write to a new index: each process reads the declared indexes more often than that, and its
 * earlier writes are finished by then, or will never be applied.
 */
const SPREAD = 15_000

const idShape = /^[0-9a-f]{64}$/

/** The index of sessions by user. An entry is written before its session has the user, and exists as long as the session can. */
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

  /** Adds the entries for these fields. Resolves to when the entries expire: never, if the fields have no user. */
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

  /** The ids of the sessions with this value at the path. Some may come more than once, and there may be other ids among them. */
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

  /** The ids of all sessions. */
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
   * Completes an index: once all processes write to it, adds the sessions from before by `index`. Resolves to the milliseconds after
   * which to call again, or to `undefined` if nothing is left to do.
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
