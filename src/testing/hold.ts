/** A call to a store that a test holds back. */
export interface HeldCall {
  readonly method: string
  readonly args: readonly unknown[]
  /** Lets the store do the call, but keeps its answer from the caller. Resolves when the store is done. */
  pass(): Promise<void>
  /** Gives the caller the store's answer. Lets the store do the call first, unless `pass` did. */
  answer(): Promise<void>
  /** Rejects the call with this error, whether or not the store has done it. */
  fail(error: unknown): void
}

export interface Held<S> {
  readonly store: S
  /** The calls without an answer yet, in the order in which they were made. */
  readonly calls: readonly HeldCall[]
  /** The oldest call that `next` has not returned yet, or else the next call that is made. */
  next(): Promise<HeldCall>
  /** Answers the waiting calls, in their order. From now on, no call is held. */
  release(): void
}

/** Methods that are passed on at once: no request waits for them, or they do not call the database. */
const passing = new Set(['useTimeout', 'close', 'find', 'isJoinable', 'isIndexed'])

/**
 * A store whose calls take effect, and are answered, when the test says so. With it a test decides which of two overlapping calls
 * comes first, and which answers are lost.
 */
export function hold<S extends object>(target: S): Held<S> {
  const calls: HeldCall[] = []
  const untaken: HeldCall[] = []
  const takers: ((call: HeldCall) => void)[] = []
  let isReleased = false
  const held = (method: string, args: readonly unknown[], make: () => Promise<unknown>): Promise<unknown> =>
    new Promise((resolve, reject) => {
      let done: Promise<unknown> | undefined
      const begun = () => {
        done ??= make()
        return done
      }
      const leave = () => {
        const place = calls.indexOf(call)
        if (place >= 0) calls.splice(place, 1)
      }
      const call: HeldCall = {
        method,
        args,
        async pass() {
          await begun().catch(() => {})
        },
        async answer() {
          leave()
          await begun().then(resolve, reject)
        },
        fail(error) {
          leave()
          reject(error)
        },
      }
      calls.push(call)
      const taker = takers.shift()
      if (taker) taker(call)
      else untaken.push(call)
    })
  const store = new Proxy(target, {
    get(_, name) {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      if (typeof name !== 'string' || passing.has(name)) return member.bind(target)
      return (...args: unknown[]) => {
        const make = async () => member.apply(target, args)
        return isReleased ? make() : held(name, args, make)
      }
    },
  })
  return {
    store,
    calls,
    next() {
      const call = untaken.shift()
      return call ? Promise.resolve(call) : new Promise(resolve => takers.push(resolve))
    },
    release() {
      isReleased = true
      for (const call of [...calls]) void call.answer()
    },
  }
}
