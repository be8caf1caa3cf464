import { refuseIgnored, refuseSurplus } from '../language/calloptions.ts'

/**
 * The methods that return a promise, and how many arguments each needs and takes. Signals and timers pass arguments to their
 * listeners, so `close` and `sweep` ignore all but a callback.
 */
const promising = {
  ensureIndex: [0, 0],
  count: [0, 0],
  sweep: [0, Number.POSITIVE_INFINITY],
  endAll: [1, 2],
  end: [1, 1],
  create: [1, 2],
  load: [1, 2],
  close: [0, Number.POSITIVE_INFINITY],
} satisfies Record<string, [needed: number, most: number]>

const others = { find: 1, open: 1 }

type Method = (...args: never[]) => unknown
type Bindable = { [Name in keyof typeof promising | keyof typeof others]: Method }

/**
 * Binds the methods, so that they work when they are taken off the object, as in `process.once('SIGTERM', sessions.close)`. The
 * bound methods refuse arguments that would be ignored.
 */
export function bindMethods(sessions: Bindable): void {
  for (const [name, [needed, most]] of Object.entries<[number, number]>(promising)) {
    bind(sessions, name, args => refuseIgnored(name, args, needed, most))
  }
  for (const [name, most] of Object.entries(others)) {
    bind(sessions, name, args => refuseSurplus(name, args, most))
  }
}

function bind(sessions: Bindable, name: string, check: (args: readonly unknown[]) => void): void {
  const method = sessions[name as keyof Bindable]
  const value = (...args: never[]) => {
    check(args)
    return method.apply(sessions, args)
  }
  Object.defineProperty(sessions, name, { value, configurable: true, writable: true })
}
