import { type Answer, Asker } from './asker.ts'
import { Random } from './random.ts'
import { firstFields, type Request, Requests } from './requests.ts'

export interface Plan {
  readonly seed: number
  readonly clients: number
  readonly operations: number
  /** How probable it is that a request ends its session, of the requests before this and of those from it on. */
  readonly endings: readonly [before: number, from: number, after: number]
  /** Where the app answers; the same sessions everywhere. */
  readonly origins: readonly string[]
}

/** A request and its answer, and when each was seen by the one process of all clients. */
export interface Observation {
  readonly client: number
  readonly request: Request
  readonly answer: Answer
  readonly begun: number
  readonly answered: number
}

/** All that was done with one cookie. Nobody had it before its session was as `initial` says. */
export interface SessionHistory {
  readonly initial: Readonly<Record<string, unknown>>
  readonly observations: Observation[]
}

interface Known extends SessionHistory {
  readonly cookie: string
  isEnded: boolean
}

/** How many requests come late, with the cookie of a session before the present one. */
const LATE = 0.05

/**
 * Lets the clients loose on one session. All share its cookie; where it ends, whoever notices begins a new one, as does
 * `regenerate`, while others still use the old.
 */
export async function historyOf(plan: Plan): Promise<SessionHistory[]> {
  const asker = new Asker()
  try {
    return await new Recording(plan, asker).run()
  } finally {
    asker.close()
  }
}

class Recording {
  readonly #plan: Plan
  readonly #asker: Asker
  readonly #sessions: Known[] = []
  #clock = 0
  #left: number
  #isBeginning = false

  constructor(plan: Plan, asker: Asker) {
    this.#plan = plan
    this.#asker = asker
    this.#left = plan.operations
  }

  async run(): Promise<SessionHistory[]> {
    // The very first answer may be lost too. A process that connects late would lose the first answers of all its clients.
    for (const origin of this.#plan.origins) {
      this.#sessions.length = 0
      while (this.#sessions.length === 0) await this.#begin(origin)
    }
    await Promise.all(Array.from({ length: this.#plan.clients }, (_, client) => this.#client(client)))
    return this.#sessions
  }

  async #client(client: number): Promise<void> {
    const { seed, origins, operations, endings } = this.#plan
    const random = new Random(seed * 1000 + client)
    const requests = new Requests(random, client)
    while (this.#left-- > 0) {
      const origin = random.pick(origins)
      const isLate = random.chance(LATE)
      const [before, from, after] = endings
      const request = requests.next(operations - this.#left < from ? before : after)
      const session = this.#session(isLate)
      await this.#observe(client, origin, request, session)
      if (session.isEnded && session === this.#sessions.at(-1)) await this.#begin(origin)
    }
  }

  #session(isLate: boolean): Known {
    return (isLate && this.#sessions.at(-2)) || (this.#sessions.at(-1) as Known)
  }

  async #observe(client: number, origin: string, request: Request, session: Known): Promise<void> {
    const begun = this.#clock++
    const { answer, cookie } = await this.#asker.ask(origin, request, session.cookie)
    session.observations.push({ client, request, answer, begun, answered: this.#clock++ })
    if (isEnd(request, answer)) session.isEnded = true
    if (request.kind === 'regenerate' && answer.outcome === 'done' && cookie) {
      this.#sessions.push(newly(cookie, answer.body.fields))
    }
  }

  /** One at a time; what nobody has the cookie of need not be in the history. */
  async #begin(origin: string): Promise<void> {
    if (this.#isBeginning) return
    this.#isBeginning = true
    const request: Request = { kind: 'commands', calls: [['set', firstFields]], manner: 'handle' }
    const { answer, cookie } = await this.#asker.ask(origin, request, undefined)
    if (answer.outcome === 'done' && cookie) this.#sessions.push(newly(cookie, answer.body.result))
    this.#isBeginning = false
  }
}

function newly(cookie: string, initial: unknown): Known {
  return { cookie, initial: initial as SessionHistory['initial'], observations: [], isEnded: false }
}

function isEnd({ kind }: Request, { outcome }: Answer): boolean {
  return outcome === 'ended' || (outcome === 'done' && (kind === 'destroy' || kind === 'regenerate'))
}
