import { tracingChannel } from 'node:diagnostics_channel'
import { errorOfEvent, type StoreCall } from './events.ts'
import { isEnded } from './record.ts'

const calls = tracingChannel<'koa-atomic-session:store', StoreCall>('koa-atomic-session:store')

/** Not `calls.hasSubscribers`, which Node 20.19 does not have. */
export function isTraced(): boolean {
  return calls.start.hasSubscribers || calls.asyncEnd.hasSubscribers || calls.error.hasSubscribers
}

/** Listeners are told what became of the call, and neither its answer nor a driver's words, which hold a session's fields. */
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

function resultOf(method: StoreCall['method'], answer: unknown): NonNullable<StoreCall['result']> {
  if (method === 'load' || method === 'read') {
    if (typeof answer !== 'object' || answer === null) return 'absent'
    return isEnded(answer) ? 'ended' : 'found'
  }
  if (answer === 'refused' || answer === 'ended' || answer === 'absent') return answer
  return answer === false ? 'refused' : 'applied'
}
