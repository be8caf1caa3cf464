import type { OpenedStore } from './opened.ts'

export interface Swept {
  /** How many records were removed by this command. */
  readonly removed: number
}

/** How often the number of remaining records is read, in milliseconds. */
const LOOK_EVERY = 250

/** How far it has come. */
export type Progress = (done: number, all: number) => void

/** Removes expired records. */
export async function sweep(opened: OpenedStore, progress?: Progress): Promise<Swept> {
  if (!progress) return { removed: await opened.sweep() }
  const all = await opened.countExpired()
  let isLooking = false
  const timer = setInterval(async () => {
    if (isLooking) return
    isLooking = true
    // What is not known now is known the next time.
    const left = await opened.countExpired().catch(() => undefined)
    if (left !== undefined && isLooking) progress(Math.max(0, all - left), all)
    isLooking = false
  }, LOOK_EVERY)
  progress(0, all)
  try {
    const removed = await opened.sweep()
    progress(all, all)
    return { removed }
  } finally {
    isLooking = false
    clearInterval(timer)
  }
}

export function sweptText({ removed }: Swept): string {
  return `Expired sessions removed: ${removed}`
}

const WIDTH = 40

/** A line of the terminal, written over by the next. */
export function bar(done: number, all: number): string {
  const share = all === 0 ? 1 : Math.min(1, done / all)
  const filled = Math.round(share * WIDTH)
  return `[${'#'.repeat(filled)}${' '.repeat(WIDTH - filled)}] ${Math.round(share * 100)} %, ${done} of ${all}`
}
