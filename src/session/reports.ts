import { types } from 'node:util'
import { SessionError } from '../errors.ts'

// A listener may use sessions, and what it does may fail as what was reported has: no report may be the cause of the next.

let reports = 0

/** Whether a failure is being reported now, so that what is begun now is begun by who is told of it. */
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

/** Reports one failure of a kind and no more: a listener may have waited before it began what fails. */
export function onceOfAKind(report: (error: unknown) => void): (error: unknown) => void {
  let reported: Set<string> | undefined
  return error => {
    const kind = kindOf(error)
    if (reported?.has(kind)) return
    reported = (reported ?? new Set()).add(kind)
    report(error)
  }
}

/** Milliseconds. */
const MINUTE = 60_000

/** So many are remembered. */
const MANY = 1000

/** Reports one failure of a kind a minute for each thing that fails, where there is no request to count by. */
export function onceAMinute(report: (error: unknown) => void): (error: unknown, of: string) => void {
  const reported = new Map<string, number>()
  return (error, of) => {
    const kind = `${of} ${kindOf(error)}`
    const now = Date.now()
    if (now - (reported.get(kind) ?? -MINUTE) < MINUTE) return
    if (reported.size >= MANY) reported.clear()
    reported.set(kind, now)
    report(error)
  }
}

function kindOf(error: unknown): string {
  if (error instanceof SessionError) return error.code
  return types.isNativeError(error) ? error.name : typeof error
}
