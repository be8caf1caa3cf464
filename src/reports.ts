import { types } from 'node:util'
import { SessionError } from './errors.ts'

// A listener of failures (Koa's event `error`, or events of this library) may use sessions, and its calls may fail for the same
// reason. No report must cause the next one.

let reports = 0

/** Whether a failure is being reported now: then it is a listener that begins a call. */
export function isReporting(): boolean {
  return reports > 0
}

export function whileReporting<T>(report: () => T): T {
  reports++
  try {
    return report()
  } finally {
    reports--
  }
}

/** Milliseconds. */
const MINUTE = 60_000

/** The most kinds that are remembered. While as many are, no other kind is reported: so reports have an end in any case. */
const MAX_KINDS = 1000

type Report = (error: unknown, of?: string) => void

/** Reports the first failure of each kind only: a listener may begin the next call after the report. */
export function onceOfAKind(report: (error: unknown) => void, every = Infinity): Report {
  // When each kind was reported, the oldest first. Made once it is needed: there is one of these for each response.
  let reported: Map<string, number> | undefined
  return (error, of = '') => {
    const now = Date.now()
    reported ??= new Map()
    for (const [kind, at] of reported) {
      // The clock may have been set back.
      if (Math.abs(now - at) < every) break
      reported.delete(kind)
    }
    const kind = `${of} ${kindOf(error)}`
    if (reported.has(kind) || reported.size >= MAX_KINDS) return
    reported.set(kind, now)
    report(error)
  }
}

/** Reports one failure of a kind a minute for each session, where there is no request to count by. */
export function onceAMinute(report: (error: unknown) => void): Report {
  return onceOfAKind(report, MINUTE)
}

function kindOf(error: unknown): string {
  try {
    if (error instanceof SessionError) return error.code
    return types.isNativeError(error) ? String(error.name) : typeof error
  } catch {
    return 'unreadable'
  }
}
