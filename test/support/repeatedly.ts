import type { TestContext } from 'node:test'

/** Does the same again and again, beside the rest of a test, until that is stopped. It stops with the test too, however that ends. */
export function repeatedly(t: TestContext, act: (time: number) => Promise<unknown>): () => Promise<void> {
  let isOver = false
  const stop = () => {
    isOver = true
  }
  t.after(stop)
  const acting = (async () => {
    for (let time = 0; !isOver; time++) await act(time)
  })()
  return () => {
    stop()
    return acting
  }
}
