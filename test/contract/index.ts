import { answers } from './answers.ts'
import { changing } from './changing.ts'
import { concurrency } from './concurrency.ts'
import { counting } from './counting.ts'
import { creation } from './creation.ts'
import { ending } from './ending.ts'
import { expiry } from './expiry.ts'
import { finding } from './finding.ts'
import { guards } from './guards.ts'
import { isolation } from './isolation.ts'
import { joining } from './joining.ts'
import type { OpenStore } from './open.ts'
import { reading } from './reading.ts'
import { size } from './size.ts'
import { sweeping } from './sweeping.ts'
import { upkeep } from './upkeep.ts'
import { values } from './values.ts'

export interface Excuses {
  /** Why the server that the store is tested with cannot measure a session, if it cannot. */
  readonly size?: string | false
}

/** What every store promises. `open` gives a fresh, empty store that closes itself when the test ends. */
export function storeContract(open: OpenStore, excuses: Excuses = {}): void {
  creation(open)
  reading(open)
  changing(open)
  guards(open)
  answers(open)
  ending(open)
  expiry(open)
  finding(open)
  counting(open)
  sweeping(open)
  concurrency(open)
  joining(open)
  isolation(open)
  values(open)
  size(open, excuses.size ?? false)
  upkeep(open)
}
