import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { forked } from '../forked.ts'
import type { Place } from '../places.ts'

const file = fileURLToPath(new URL('./process.ts', import.meta.url))

export interface ProcessOptions {
  readonly place: Place
  readonly seed: number
  /** How probable it is that the store's answer to a call is lost. */
  readonly losing: number
}

/** Starts so many processes of the app, which end with the test, and tells where they answer. */
export function startProcesses(
  t: TestContext,
  count: number,
  { place: { kind, at, name }, seed, losing }: ProcessOptions,
): Promise<string[]> {
  return Promise.all(
    Array.from({ length: count }, (_, index) =>
      forked(t, file, [String(seed + index), String(losing), kind, at, name]),
    ),
  )
}
