import { type Path, partsOf } from '../../language/paths.ts'
import { ownError } from '../../store/wrapping.ts'
import type { Commands } from './commands.ts'
import { redisError } from './errors.ts'
import { pairsOf } from './replies.ts'
import { declare, look, type Script } from './scripts.ts'

/** Milliseconds after which what is known of the indexes is asked for again, and after which nothing is written by it. */
const STALE = 5000
const EXPIRED = 10_000

/** Milliseconds after which a reply says too little of the server's clock, where the former offset cannot be right. */
const SLOW = 250

export interface Index {
  /** When it was declared, by the server's clock. */
  readonly since: number
  /** Whether it has the sessions from before it was declared too. */
  readonly isComplete: boolean
}

/**
 * The paths by which sessions are indexed, which any process may declare and all writers follow; and the server's clock, since both
 * are asked for in one command.
 */
export class Indexes {
  readonly #commands: Commands
  readonly #key: string
  #known: ReadonlyMap<Path, Index> = new Map()
  /** The paths that a write has to follow, and the fields that they begin with. */
  paths: readonly Path[] = []
  heads: ReadonlySet<string> = new Set()
  #askedAt = Number.NEGATIVE_INFINITY
  #asking: Promise<void> | undefined
  /** The server's clock less this process's. */
  #offset = 0

  constructor(commands: Commands, prefix: string) {
    this.#commands = commands
    this.#key = `${prefix}indexes`
  }

  /** The server's clock, milliseconds since the epoch. */
  now(): number {
    return Date.now() + this.#offset
  }

  /** What the server's clock has just said. Servers of a cluster may differ: the one that is ahead counts, until it is asked anew. */
  heard(now: number): void {
    this.#offset = Math.max(this.#offset, now - Date.now())
  }

  /** Whether what is known was asked for lately. */
  get isFresh(): boolean {
    return performance.now() - this.#askedAt < STALE
  }

  /** Asks anew, and waits for the reply where what is known is too old to write by. */
  async refresh(): Promise<void> {
    const asked = this.ask()
    if (performance.now() - this.#askedAt >= EXPIRED) await asked
    else asked.catch(() => {})
  }

  async of(path: Path): Promise<Index | undefined> {
    await this.ask()
    return this.#known.get(path)
  }

  ask(): Promise<void> {
    this.#asking ??= this.#run(look, []).finally(() => {
      this.#asking = undefined
    })
    return this.#asking.catch(error => {
      throw ownError(error)
    })
  }

  /** From soon on, writes of all processes keep an index by this path. */
  declare(path: Path): Promise<void> {
    return this.#run(declare, [path, '0'])
  }

  complete(path: Path, { since }: Index): Promise<void> {
    return this.#run(declare, [path, '1', `${since} 1`])
  }

  async #run(script: Script, args: readonly string[], isAgain = false): Promise<void> {
    const askedAt = performance.now()
    const { reply } = await this.#commands.run(script, this.#key, args).catch(error => {
      throw redisError(error, 'none', false)
    })
    const [now, pairs] = reply as [unknown, unknown]
    const took = performance.now() - askedAt
    // The server read its clock between the asking and now: this process may have stood still before it read the reply.
    const smallest = Number(now) - Date.now()
    const isAsked = this.#askedAt > Number.NEGATIVE_INFINITY
    const isStillSo = isAsked && this.#offset >= smallest && this.#offset <= smallest + took
    if (!isStillSo) {
      // Once more at most: the network may always be so slow.
      if (took > SLOW && !isAgain) return this.#run(look, [], true)
      // With the smallest no step begins after its caller has given up.
      this.#offset = smallest
    }
    this.#known = new Map(
      pairsOf(pairs).map(([path, bytes]) => {
        const [since, isComplete] = bytes.toString().split(' ')
        return [path, { since: Number(since), isComplete: isComplete === '1' }]
      }),
    )
    this.paths = [...this.#known.keys()]
    this.heads = headsOf(this.paths)
    this.#askedAt = askedAt
  }
}

/** The fields that paths begin with. */
export function headsOf(paths: readonly Path[]): Set<string> {
  return new Set(paths.map(path => partsOf(path)[0] as string))
}
