import type { Carrier, Presented } from './carrier.ts'

/** What a response tells its visitor: an id, to forget the one it has, or nothing. */
export class Teller {
  readonly #carrier: Carrier
  /** What the visitor is given the id of, though nothing is known to be stored under it. */
  offered: Presented | undefined
  #last: { readonly presented: Presented; readonly expires: Date } | 'forget' | undefined

  constructor(carrier: Carrier) {
    this.#carrier = carrier
  }

  offer(presented: Presented, expires: Date): void {
    this.offered = presented
    this.#carrier.carry(presented, expires)
  }

  /** What was offered holds good. */
  confirm(presented: Presented, expires: Date): void {
    this.offered = undefined
    this.#last = { presented, expires }
  }

  carry(presented: Presented, expires: Date): void {
    this.#carrier.carry(presented, expires)
    this.confirm(presented, expires)
  }

  /** What was offered does not hold: the visitor is told what was to be told before. */
  withdraw(): void {
    this.offered = undefined
    if (this.#last === undefined) this.#carrier.withdraw()
    else if (this.#last === 'forget') this.#carrier.clear()
    else this.#carrier.carry(this.#last.presented, this.#last.expires)
  }

  clear(): void {
    this.#carrier.clear()
    this.#last = 'forget'
  }

  /** Takes back whatever this response was to tell. */
  tellNothing(): void {
    this.#carrier.withdraw()
    this.#last = undefined
  }
}
