import { setTimeout as delay } from 'node:timers/promises'
import type { Random } from '../support/linearizability/random.ts'
import { Client, type Reply } from './client.ts'
import { type Fate, Ledger } from './ledger.ts'

/** Ways to push a token, each of which acknowledges it in its own manner. */
const pushes = ['/push', '/counted', '/unawaited', '/loaded', '/throwing', '/streaming'] as const

/** So many changes later a session is ended, so that its log stays short. */
const LONGEST_LIFE = 60

/** What visitors ask, and what comes of it. */
export interface Traffic {
  /** Where some process of the app answers. */
  origin(): string
  /** Something that must not happen has happened. */
  violate(what: string): void
  count(what: string): void
  isOver(): boolean
}

/** Someone who begins sessions, changes, renews and ends them, and remembers what was said of each change. */
export class ChaosVisitor {
  readonly ledgers: Ledger[] = []
  readonly #name: string
  readonly #random: Random
  readonly #traffic: Traffic
  readonly #client = new Client()
  #tokens = 0

  constructor(name: string, random: Random, traffic: Traffic) {
    this.#name = name
    this.#random = random
    this.#traffic = traffic
  }

  async live(): Promise<void> {
    while (!this.#traffic.isOver()) {
      try {
        await this.#session()
      } catch (error) {
        this.#traffic.violate(`${this.#name}: ${(error as Error).message}`)
      }
    }
    this.#client.leave()
  }

  /** One session, from its beginning to its end. */
  async #session(): Promise<void> {
    const ledger = new Ledger(`${this.#name}.${this.ledgers.length}`)
    this.ledgers.push(ledger)
    this.#client.cookie = undefined
    const { fate } = await this.#ask(`/begin?label=${ledger.label}`)
    if (fate !== 'acknowledged') {
      // Should it be there all the same, nobody has its cookie.
      ledger.ended = fate === 'refused' ? 'acknowledged' : 'unknown'
      await delay(this.#random.below(40))
      return
    }
    if (!this.#client.cookie) throw new Error('A session began without a cookie')
    while (!this.#traffic.isOver() && ledger.size < LONGEST_LIFE) {
      if (!(await this.#step(ledger))) return
      await delay(this.#random.below(40))
    }
    if (!this.#traffic.isOver()) await this.#end(ledger)
    else await this.#read(ledger)
  }

  /** False if the session is over. */
  #step(ledger: Ledger): Promise<boolean> {
    const lot = this.#random.fraction()
    if (lot < 0.4) return this.#push(ledger)
    if (lot < 0.65) return this.#burst(ledger)
    if (lot < 0.85) return this.#read(ledger)
    if (lot < 0.91) return this.#push(ledger, { patience: 1 + this.#random.below(30) })
    if (lot < 0.98) return this.#renew(ledger)
    return this.#end(ledger)
  }

  async #push(ledger: Ledger, how: { patience?: number; mayHaveEnded?: boolean } = {}): Promise<boolean> {
    const path = this.#random.pick(pushes)
    const token = `${path === '/counted' ? 'c' : 't'}${this.#tokens++}`
    ledger.note(token, 'pending')
    const { fate, code } = await this.#ask(`${path}?token=${token}`, how.patience)
    ledger.note(token, fate)
    if (code !== 'SESSION_ENDED') return true
    if (how.mayHaveEnded) return true
    if (!ledger.mayBeGone) throw new Error(`${ledger.label}: it ended by itself`)
    return false
  }

  async #burst(ledger: Ledger): Promise<boolean> {
    const pushing = Array.from({ length: 2 + this.#random.below(3) }, () => this.#push(ledger))
    const going = await Promise.all([...pushing, this.#read(ledger)])
    return going.every(goes => goes)
  }

  async #read(ledger: Ledger): Promise<boolean> {
    const known = ledger.acknowledged
    const { fate, body } = await this.#ask('/read')
    if (fate !== 'acknowledged') return true
    const fields = JSON.parse(body) as Record<string, unknown>
    if (fields.visitor === ledger.label) {
      for (const fault of ledger.faultsIn(fields, known)) this.#traffic.violate(`${fault} (read)`)
      return true
    }
    if (Object.keys(fields).length > 0) throw new Error(`${ledger.label}: somebody else’s session was read`)
    if (!ledger.mayBeGone) throw new Error(`${ledger.label}: it was there and is not`)
    return false
  }

  async #renew(ledger: Ledger): Promise<boolean> {
    ledger.renewals++
    const grace = this.#random.chance(0.5) ? '?grace=30s' : ''
    const [{ fate }] = await this.#besides(ledger, this.#ask(`/renew${grace}`))
    if (fate === 'unknown') ledger.lostRenewals++
    return true
  }

  async #end(ledger: Ledger): Promise<boolean> {
    const old = this.#client.cookie
    ledger.ended = 'pending'
    const [{ fate }] = await this.#besides(ledger, this.#ask('/end'))
    ledger.ended = fate === 'refused' ? undefined : fate
    if (fate !== 'acknowledged') return fate === 'refused'
    this.#client.cookie = old
    const { fate: readable, body } = await this.#ask('/read')
    if (readable === 'acknowledged' && body !== '{}')
      throw new Error(`${ledger.label}: it was read after its end`)
    return false
  }

  /** Something that may end the session, with changes under way beside it. */
  async #besides(ledger: Ledger, asked: Promise<Reply>): Promise<[Reply, ...boolean[]]> {
    const count = this.#random.below(3)
    const pushing = Array.from({ length: count }, () => this.#push(ledger, { mayHaveEnded: true }))
    return Promise.all([asked, ...pushing])
  }

  async #ask(path: string, patience?: number): Promise<Reply> {
    const reply = await this.#client.ask(`${this.#traffic.origin()}${path}`, patience)
    this.#traffic.count(reply.fate satisfies Fate)
    return reply
  }
}
