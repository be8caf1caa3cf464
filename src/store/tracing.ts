import { tracingChannel } from 'node:diagnostics_channel'
import { errorOfEvent, type StoreCall } from '../events.ts'
import { isEnded } from './record.ts'

const calls = tracingChannel<'koa-atomic-session:store', StoreCall>('koa-atomic-session:store')

/** Not `calls.hasSubscribers`, which Node 20.19 does not have. */
export function isTraced(): boolean {
  return calls.start.hasSubscribers || calls.asyncEnd.hasSubscribers || calls.error.hasSubscribers
}

let underWay: StoreCall | undefined

/** Runs `make`, which calls a store. Meanwhile `tracedCall` returns `call`, so that the store can add to it. */
export function ofCall<T>(call: StoreCall, make: () => T): T {
  underWay = call
  try {
    return make()
  } finally {
    underWay = undefined
  }
}

/** The traced call that is being made to a store at this moment. */
export function tracedCall(): StoreCall | undefined {
  return underWay
}

/** Subscribers get the call's result, but neither its answer nor the driver's message, which may contain a session's fields. */
export async function traced<T>(context: StoreCall, answer: () => Promise<T>): Promise<T> {
  const begun = performance.now()
  const answered: T[] = []
  const thrown: unknown[] = []
  const told = async () => {
    try {
      const value = await answer()
      answered.push(value)
      return resultOf(context.method, value)
    } catch (error) {
      thrown.push(error)
      throw errorOfEvent(error)
    } finally {
      context.milliseconds = performance.now() - begun
    }
  }
  await calls.tracePromise(told, context).catch(() => {
    throw thrown[0]
  })
  return answered[0] as T
}

/** The same for several answers: from the request for the first to the end of the iteration. */
export async function* tracedEach<T>(context: StoreCall, each: AsyncIterable<T>): AsyncGenerator<T> {
  let end: (result: Result | Promise<never>) => void = () => {}
  const ended = new Promise<Result>(resolve => {
    end = resolve
  })
  calls.tracePromise(() => ended, context).catch(() => {})
  const answers = each[Symbol.asyncIterator]()
  let result: Result = 'absent'
  let milliseconds = 0
  try {
    for (;;) {
      const begun = performance.now()
      const { done, value } = await answers.next().finally(() => {
        milliseconds += performance.now() - begun
      })
      if (done) return
      result = 'found'
      yield value
    }
  } catch (error) {
    end(Promise.reject(errorOfEvent(error)))
    throw error
  } finally {
    context.milliseconds = milliseconds
    end(result)
    await answers.return?.()
  }
}

type Result = NonNullable<StoreCall['result']>

function resultOf(method: StoreCall['method'], answer: unknown): Result {
  if (method === 'count') return answer === 0 ? 'absent' : 'found'
  if (method === 'load' || method === 'read') {
    if (typeof answer !== 'object' || answer === null) return 'absent'
    return isEnded(answer) ? 'ended' : 'found'
  }
  if (answer === 'refused' || answer === 'ended' || answer === 'absent') return answer
  return answer === false ? 'refused' : 'applied'
}
