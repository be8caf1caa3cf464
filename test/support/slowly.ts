import { setImmediate } from 'node:timers/promises'

/** A call that takes a while, before and after it takes effect. */
export async function slowly<T>(call: () => Promise<T>): Promise<T> {
  await setImmediate()
  const answer = await call()
  await setImmediate()
  return answer
}
