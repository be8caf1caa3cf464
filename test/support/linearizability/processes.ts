import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

const file = fileURLToPath(new URL('./process.ts', import.meta.url))

export interface ProcessOptions {
  readonly collectionName: string
  readonly seed: number
  /** How probable it is that the store's answer to a call is lost. */
  readonly losing: number
}

/** Starts so many processes of the app, which end with the test, and tells where they answer. */
export function startProcesses(t: TestContext, count: number, options: ProcessOptions): Promise<string[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => startProcess(t, index, options)))
}

async function startProcess(
  t: TestContext,
  index: number,
  { collectionName, seed, losing }: ProcessOptions,
): Promise<string> {
  const args = [process.env.MONGODB_URI ?? '', collectionName, String(seed + index), String(losing)]
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
