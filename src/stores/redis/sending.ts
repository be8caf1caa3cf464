import { randomBytes } from 'node:crypto'
import { StoreUnavailableError } from '../../errors.ts'
import { type Commands, type Ran, restOf, type Wait } from './commands.ts'
import { isElsewhere, isOfAnotherType, redisError } from './errors.ts'
import type { Step } from './head.ts'
import type { Indexes } from './indexes.ts'
import { type Reply, replyOf } from './replies.ts'
import {
  ABSENT,
  CROWDED,
  DONE,
  GONE,
  LATE,
  MOVED,
  OVERTAKEN,
  REFUSED,
  REPEATED,
  readSome,
  type Script,
  UNINDEXED,
} from './scripts.ts'

/** Milliseconds, until `useTimeout` is called: the default of the option `timeout`. */
const DEFAULT_TIMEOUT = 5000

/** The part of the timeout for which replicas are waited for, so that their number is known before the timeout ends. */
const WAITING = 0.8

/** By these a step is not made, and another sending of it may still be. */
const unmade = [REFUSED, MOVED, UNINDEXED, CROWDED, OVERTAKEN]

/**
 * Sends scripts that write, each as a numbered step. Clients may send a command again after a lost connection; a step is applied once.
 */
export class Sender {
  timeout = DEFAULT_TIMEOUT
  readonly #commands: Commands
  readonly #indexes: Indexes
  readonly #replicas: number
  readonly #process = randomBytes(8)
  #steps = 0

  constructor(commands: Commands, indexes: Indexes, replicas: number) {
    this.#commands = commands
    this.#indexes = indexes
    this.#replicas = replicas
  }

  get repliesInText(): boolean {
    return this.#replicas > 0 && this.#commands.waitsInText
  }

  /** `until`: when the caller's timeout ends, by `performance.now()`. The server does not begin a step after that. */
  async send(
    script: Script,
    key: string,
    argument: (step: Step) => Buffer,
    until = performance.now() + this.timeout,
  ): Promise<Reply> {
    const left = until - performance.now()
    if (left <= 0) throw new StoreUnavailableError('There was no time left to ask Redis', 'none')
    const step = { process: this.#process, number: ++this.#steps, until: this.#indexes.now() + left }
    const { losses } = this.#commands
    const args = this.#replicas > 0 ? [argument(step), '1'] : [argument(step)]
    const { reply, replicas } = await this.#run(script, key, args, this.#waitOf(left))
    const told = replyOf(reply, this.repliesInText)
    if (told.now) this.#indexes.heard(told.now)
    if (this.#commands.losses !== losses && unmade.includes(told.status)) {
      throw new StoreUnavailableError('A connection was lost, and the change may still arrive', 'unknown')
    }
    switch (told.status) {
      case LATE:
        throw new StoreUnavailableError('The change came to Redis too late, or once more', 'unknown')
      case OVERTAKEN:
        return this.send(script, key, argument, until)
      case CROWDED:
        throw new StoreUnavailableError('Too many processes write to one session', 'none')
      case DONE:
      case REPEATED:
      case GONE:
        this.#assertCopied(replicas)
    }
    return told
  }

  /** Sends a script that may run twice. */
  async repeatable(script: Script, key: string, args: readonly string[]): Promise<unknown> {
    const { reply, replicas } = await this.#run(script, key, args, this.#waitOf(this.timeout))
    this.#assertCopied(replicas)
    return reply
  }

  #waitOf(left: number): Wait | undefined {
    return this.#replicas > 0
      ? { replicas: this.#replicas, ms: Math.max(1, Math.floor(left * WAITING)) }
      : undefined
  }

  async #run(
    script: Script,
    key: string,
    args: readonly (string | Buffer)[],
    wait: Wait | undefined,
  ): Promise<Ran> {
    const { losses } = this.#commands
    const sentAt = performance.now()
    try {
      return await this.#commands.run(script, key, args, wait).catch(async error => {
        if (!wait || !isElsewhere(error)) throw error
        // To another node of a cluster clients follow a command that goes alone, and learn who has the key now.
        await this.#commands.run(readSome, key, ['_'])
        return this.#commands.run(script, key, args, restOf(wait, sentAt))
      })
    } catch (error) {
      if (isOfAnotherType(error)) return { reply: ABSENT }
      throw redisError(error, 'unknown', this.#commands.losses !== losses)
    }
  }

  #assertCopied(replicas = 0): void {
    if (replicas >= this.#replicas) return
    throw new StoreUnavailableError(
      `Redis has the change, and ${replicas} of ${this.#replicas} replicas have confirmed it`,
      'unknown',
    )
  }
}
