import { setTimeout as delay } from 'node:timers/promises'
import type { Random } from '../support/linearizability/random.ts'
import type { FaultProxy } from '../support/proxy.ts'
import type { SmallDisk } from '../support/sqlite/disk.ts'
import type { AppProcess } from './app.ts'

/** Milliseconds that a fault lasts at most: the breaker opens, and not all of a run is one outage. */
const LONGEST = 4000

/** Milliseconds by which a clock is wrong at most: less than the minute for which an ended session is remembered. */
export const CLOCK = 20_000

type Line = (proxy: FaultProxy, random: Random) => void | Promise<void>

/** What may befall the way from a process to its store, until it is healed. */
const ofLines: Readonly<Record<string, Line>> = {
  'connections cut': proxy => proxy.cut(),
  'answers lost now and then': (proxy, random) => proxy.loseAnswers(() => random.chance(0.1)),
  'every answer lost': proxy => proxy.cutAnswersAfter(0),
  'answers cut short': (proxy, random) => proxy.cutAnswersAfter(random.below(2000)),
  'connections refused': proxy => proxy.refuse(),
  'store hangs': proxy => proxy.stall(),
  'store is mute': proxy => proxy.mute(),
  'store is slow': (proxy, random) => proxy.slowDown(1 + random.below(1500)),
}

const signals = ['SIGKILL', 'SIGTERM'] as const

/** Lets one fault happen, and ends it; tells which. */
export async function aFault(random: Random, apps: readonly AppProcess[], disk?: SmallDisk): Promise<string> {
  if (disk && random.chance(0.4)) {
    disk.fill()
    await delay(random.below(LONGEST))
    disk.release()
    return 'disk full'
  }
  const struck = random.chance(0.4) ? apps : [random.pick(apps)]
  const lines = struck.flatMap(({ proxy }) => proxy ?? [])
  const [app] = struck as [AppProcess]
  // Perhaps in the middle of a change, where they share a file.
  if (lines.length === 0 && random.chance(0.3)) {
    await app.pause(random.below(LONGEST))
    return 'SIGSTOP'
  }
  if (lines.length === 0 || random.chance(0.3)) {
    const signal = random.pick(signals)
    await app.stop(signal)
    await delay(random.below(500))
    await app.start(random.below(2 * CLOCK) - CLOCK)
    return signal
  }
  const what = random.pick(Object.keys(ofLines))
  await Promise.all(lines.map(proxy => ofLines[what]?.(proxy, random)))
  await delay(random.below(LONGEST))
  await Promise.all(lines.map(proxy => proxy.heal()))
  return what
}
