import type { SessionId } from '../../ids.ts'
import type { Commands } from './commands.ts'
import { isOfAnotherType, redisError } from './errors.ts'
import { pairsOf } from './replies.ts'
import { readAll, readSome } from './scripts.ts'

/** Reads what is stored of sessions, from the primary: a replica may not know yet of one that has been acknowledged. */
export class Reader {
  readonly #commands: Commands
  readonly #prefix: string

  constructor(commands: Commands, prefix: string) {
    this.#commands = commands
    this.#prefix = prefix
  }

  /** The head, then what is stored under each name. */
  async some(id: SessionId, names: readonly string[]): Promise<readonly (Buffer | null | undefined)[]> {
    const [key, fields] = [this.#prefix + id, ['_', ...names]]
    const reply = await this.#asked(
      () => this.#commands.hmget(key, fields),
      () => this.#commands.run(readSome, key, fields),
    )
    return (reply ?? []) as (Buffer | null)[]
  }

  async all(id: SessionId): Promise<[name: string, bytes: Buffer][]> {
    const key = this.#prefix + id
    return pairsOf(
      await this.#asked(
        () => this.#commands.hgetall(key),
        () => this.#commands.run(readAll, key, []),
      ),
    )
  }

  /** `undefined` if the key holds another type of value, which is not a session. */
  async #asked(
    plainly: () => Promise<unknown>,
    byScript: () => Promise<{ reply: unknown }>,
  ): Promise<unknown> {
    try {
      return this.#commands.readsElsewhere ? (await byScript()).reply : await plainly()
    } catch (error) {
      if (isOfAnotherType(error)) return undefined
      throw redisError(error, 'none', false)
    }
  }
}
