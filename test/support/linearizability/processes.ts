import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { forked } from '../forked.ts'

const file = fileURLToPath(new URL('./process.ts', import.meta.url))

export interface ProcessOptions {
  /** The collection's name, the LMDB file, or PostgreSQL's address with the table as its fragment. */
  readonly place: string
  readonly kind: 'mongodb' | 'lmdb' | 'pg' | 'postgres'
  readonly seed: number
  /** How probable it is that the store's answer to a call is lost. */
  readonly losing: number
}

/** Starts so many processes of the app, which end with the test, and tells where they answer. */
export function startProcesses(
  t: TestContext,
  count: number,
  { kind, place, seed, losing }: ProcessOptions,
): Promise<string[]> {
  return Promise.all(
    Array.from({ length: count }, (_, index) =>
      forked(t, file, [kind, place, String(seed + index), String(losing)]),
    ),
  )
}
