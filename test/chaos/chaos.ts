import { setTimeout as delay } from 'node:timers/promises'
import { Random } from '../support/linearizability/random.ts'
import type { SmallDisk } from '../support/sqlite/disk.ts'
import { AppProcess } from './app.ts'
import { aFault } from './faults.ts'
import { opened, type Place } from './stores.ts'
import { ChaosVisitor, type Traffic } from './visitor.ts'

export interface Plan {
  readonly place: Place
  /** Where the store is, if it can be filled. */
  readonly disk?: SmallDisk | undefined
  readonly seconds: number
  readonly seed: number
  /** One of broken.ts. */
  readonly breakage?: string | undefined
}

export interface Report {
  /** How often each thing happened. */
  readonly counts: ReadonlyMap<string, number>
  /** What must not have happened, in the order it was found. */
  readonly violations: readonly string[]
  readonly sessions: number
}

const PROCESSES = 3
const VISITORS = 12

/** Whatever happens, it has to be over so much later, milliseconds. */
const LAST_ANSWERS = 2000

/**
 * Visitors use an app of several processes while fault upon fault befalls it and its store, until the time is over or
 * the first violation. Then the store must hold what was acknowledged, perhaps what is unknown, and nothing else.
 */
export async function chaos({ place, disk, seconds, seed, breakage }: Plan): Promise<Report> {
  const random = new Random(seed)
  const counts = new Map<string, number>()
  const violations: string[] = []
  let end = Number.POSITIVE_INFINITY
  const count = (what: string) => counts.set(what, (counts.get(what) ?? 0) + 1)
  const isOver = () => violations.length > 0 || performance.now() > end

  await prepared(place)
  const apps = await Promise.all(Array.from({ length: PROCESSES }, () => AppProcess.on(place, { breakage })))
  const visitors: ChaosVisitor[] = []
  try {
    await Promise.all(apps.map(app => app.start(0)))
    // On a busy machine an app takes its time to start.
    end = performance.now() + 1000 * seconds
    const traffic: Traffic = {
      origin: () => random.pick(apps).origin,
      violate: what => violations.push(what),
      count,
      isOver,
    }
    for (let index = 0; index < VISITORS; index++) {
      visitors.push(new ChaosVisitor(`v${index}`, new Random(seed * VISITORS + index), traffic))
    }
    const living = visitors.map(visitor => visitor.live())
    while (!isOver()) {
      await delay(random.below(1000))
      count(await aFault(random, apps, disk))
    }
    await Promise.all(living)
    await delay(LAST_ANSWERS)
  } finally {
    await Promise.all(apps.map(app => app.close()))
  }
  violations.push(...(await judged(place, visitors)))
  const sessions = visitors.reduce((sum, { ledgers }) => sum + ledgers.length, 0)
  return { counts, violations, sessions }
}

/** For who prepares and who judges, milliseconds: a busy machine may be slow to connect. */
const PATIENCE = 60_000

/** Has the store find sessions by their label. */
async function prepared(place: Place): Promise<void> {
  const { store, close } = opened(place, PATIENCE)
  await store.ensureIndex?.('visitor').finally(close)
}

/** Compares what visitors were told with what the store has. */
async function judged(place: Place, visitors: readonly ChaosVisitor[]): Promise<string[]> {
  const { store, close } = opened(place, PATIENCE)
  try {
    const faults: string[] = []
    for (const ledger of visitors.flatMap(({ ledgers }) => ledgers)) {
      const records = []
      for await (const record of store.find?.('visitor', ledger.label) ?? []) records.push(record)
      faults.push(...ledger.faultsAmong(records))
    }
    return faults
  } finally {
    await close()
  }
}
