import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { TestContext } from 'node:test'

/** Starts a process of an app, which ends with the test, and tells where it answers: the first message it sends. */
export async function forked(t: TestContext, file: string, args: readonly string[]): Promise<string> {
  const child = fork(file, args, { execArgv: ['--import', 'tsx'] })
  const exited = once(child, 'exit')
  t.after(async () => {
    if (child.connected) child.disconnect()
    await exited
  })
  const started = once(child, 'message') as Promise<[string]>
  const failed = exited.then(([code]) => {
    throw new Error(`A process of the app ended at once (exit code ${code})`)
  })
  const [origin] = await Promise.race([started, failed])
  failed.catch(() => {})
  return origin
}
