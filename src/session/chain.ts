import { CommandError } from '../errors.ts'
import type { Change } from '../language/change.ts'
import { addCommand, type CommandName, commands } from '../language/commands.ts'
import { Fold } from '../language/fold.ts'
import type { Path } from '../language/paths.ts'
import { Call, type Queue } from './queue.ts'

/** As it is now, since tests put their own in its place. Importing `node:process` would evaluate all that it exports. */
const { nextTick } = process

/** What carries out a chain: it applies the change and says what the chain resolves to. */
export interface Performer {
  /** The chain takes its place there, and the request fails if nobody handles its failure. */
  readonly queue: Queue
  /**
   * Sends the change, in its turn, so it must not wait for another place in the queue. `taken`: the field whose former value is
   * the result. `isAwaited`: somebody waits for the result. Resolves to `undefined` where nothing was asked back.
   */
  perform(change: Change, taken: Path | undefined, isAwaited: boolean): Promise<Result | undefined>
  /** The result of a chain that was sent before anybody waited for it, so that nothing was asked back. */
  lateResult(change: Change): Promise<unknown>
}

/** Boxed, because a chain may well resolve to `undefined`. */
export interface Result {
  readonly value: unknown
}

/**
 * The commands of one chain, which become one change. A chain takes its place among the request's calls when it is begun,
 * is closed to further commands at the end of the tick, and is sent when its turn comes. By then an `await` in the same
 * expression has been seen, so that nothing need be asked back where nobody waits.
 */
class Chain implements PromiseLike<unknown> {
  readonly #performer: Performer
  readonly #fold = new Fold()
  readonly #call: Call<Result | undefined>
  #state: 'open' | 'closed' | 'broken' = 'open'

  constructor(performer: Performer) {
    this.#performer = performer
    const closed = endOfTick().then(() => {
      if (this.#state === 'open') this.#state = 'closed'
    })
    const sent = performer.queue.run(() => closed.then(() => this.#send()))
    this.#call = new Call(performer.queue, sent)
  }

  /** Adds a command, or throws and makes sure that no part of the chain is ever sent. */
  add(name: CommandName, args: readonly unknown[]): this {
    if (this.#state !== 'open') {
      throw new CommandError(
        `.${name}() came too late: a chain is closed at the end of the tick in which it was begun; begin a new one`,
      )
    }
    try {
      addCommand(this.#fold, name, args)
      return this
    } catch (error) {
      this.#state = 'broken'
      this.#call.failure = error
      // The error is thrown at the call, so it is handled there.
      this.#call.isAwaited = true
      throw error
    }
  }

  // biome-ignore lint/suspicious/noThenProperty: a chain is awaited as a promise is
  then<A = unknown, B = never>(
    fulfilled?: ((value: unknown) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#call.awaitedBy(this.#result().then(fulfilled, rejected), rejected)
  }

  catch<B = never>(rejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<unknown> {
    return this.then(undefined, rejected)
  }

  finally(settled?: (() => void) | null): Promise<unknown> {
    return this.then().finally(settled)
  }

  async #result(): Promise<unknown> {
    const result = await this.#call.over
    if (this.#call.failure !== undefined) throw this.#call.failure
    return result ? result.value : this.#performer.lateResult(this.#fold.change())
  }

  async #send(): Promise<Result | undefined> {
    if (this.#state === 'broken') return undefined
    return this.#performer.perform(this.#fold.change(), this.#fold.taken, this.#call.isAwaited)
  }
}

const now = Promise.resolve()

/** Resolves after all microtasks, those that they begin included: Node runs `nextTick` once none is left. */
function endOfTick(): Promise<void> {
  return new Promise(resolve => now.then(() => nextTick(resolve)))
}

for (const name of Object.keys(commands) as CommandName[]) {
  Object.defineProperty(Chain.prototype, name, {
    value(this: Chain | undefined, ...args: unknown[]) {
      if (!(this instanceof Chain)) {
        throw new TypeError(`Call the commands of a chain on the chain itself: ctx.session.set(…).${name}(…)`)
      }
      return this.add(name, args)
    },
  })
}

/** Gives `target` every command. `performerOf` gets what a command is called on, and the command's name for messages. */
export function defineCommands<T extends object>(
  target: T,
  performerOf: (self: T, name: string) => Performer,
): void {
  for (const name of Object.keys(commands) as CommandName[]) {
    Object.defineProperty(target, name, {
      value(this: T, ...args: unknown[]) {
        return new Chain(performerOf(this, name)).add(name, args)
      },
    })
  }
}
