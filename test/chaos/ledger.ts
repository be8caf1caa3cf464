import type { SessionRecord } from '../../src/index.ts'

/** What is known of one change: `unknown` may have been made, `refused` must not. */
export type Fate = 'pending' | 'acknowledged' | 'unknown' | 'refused'

/** The revision of a record that nobody has written to since it was made. */
const FIRST = 1

type Fields = Readonly<Record<string, unknown>>

/**
 * What one session's visitor was told. Each change pushes a token of its own to `log`; those whose token begins with `c`
 * also count up `n` in the same step.
 */
export class Ledger {
  /** The session's field `visitor`, by which it is found in the store. */
  readonly label: string
  /** Whether the session was ended. */
  ended: Fate | undefined
  /** Renewals of which nobody knows what they did: the session may live under an id that its visitor never got. */
  lostRenewals = 0
  /** How often it was to be renewed: each time may leave a copy, of which nobody has the id, where the store failed. */
  renewals = 0
  readonly #fates = new Map<string, Fate>()

  constructor(label: string) {
    this.label = label
  }

  get size(): number {
    return this.#fates.size
  }

  get acknowledged(): string[] {
    return [...this.#fates].flatMap(([token, fate]) => (fate === 'acknowledged' ? token : []))
  }

  /** Whether its visitor may find no session any more. */
  get mayBeGone(): boolean {
    return this.ended !== undefined || this.lostRenewals > 0
  }

  note(token: string, fate: Fate): void {
    this.#fates.set(token, fate)
  }

  /** What is wrong with the fields, as read after the changes of `known` had been acknowledged. */
  faultsIn(fields: Fields, known: readonly string[]): string[] {
    const log = (fields.log ?? []) as string[]
    const faults: string[] = []
    const found = new Set(log)
    if (found.size < log.length) faults.push('a change was made twice')
    for (const token of known) if (!found.has(token)) faults.push(`an acknowledged change is lost: ${token}`)
    for (const token of found) {
      const fate = this.#fates.get(token)
      if (fate === undefined) faults.push(`a change is there that nobody asked for: ${token}`)
      if (fate === 'refused') faults.push(`a change that was refused is there: ${token}`)
    }
    const counted = log.filter(token => token.startsWith('c')).length
    if ((fields.n ?? 0) !== counted) faults.push(`half of a change is there: ${fields.n} for ${counted}`)
    return faults.map(fault => `${this.label}: ${fault}`)
  }

  /** What is wrong with what the store has of the session when all is over. */
  faultsAmong(records: readonly SessionRecord[]): string[] {
    const copies = records.filter(({ rev }) => rev === FIRST && this.renewals > 0)
    const most = this.ended === 'acknowledged' ? 0 : 1
    if (records.length - copies.length > most + this.lostRenewals || copies.length > this.renewals) {
      const what = most === 0 ? 'it was ended' : 'it is one session'
      return [`${this.label}: ${what}, and is there at revisions ${records.map(({ rev }) => rev).join()}`]
    }
    const faults = records.flatMap(({ fields }) => this.faultsIn(fields, []))
    if (faults.length > 0 || this.mayBeGone) return faults
    if (records.length === 0) return [`${this.label}: it is lost`]
    const lacking = records.map(({ fields }) => this.faultsIn(fields, this.acknowledged))
    return lacking.some(({ length }) => length === 0) ? [] : lacking.flat()
  }
}
