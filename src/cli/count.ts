import { ConfigurationError } from '../errors.ts'
import type { OpenedStore } from './opened.ts'

export interface Counted {
  /** Sessions that can be used. */
  readonly sessions: number
  /** Records whose time has come, and that are still stored. */
  readonly expired: number
}

/** How many sessions there are. */
export async function count({ store, countExpired }: OpenedStore): Promise<Counted> {
  if (!store.count) throw new ConfigurationError('This store cannot count')
  return { sessions: await store.count(), expired: await countExpired() }
}

export function countedText({ sessions, expired }: Counted): string {
  const lines = [`Sessions: ${sessions}`]
  if (expired > 0) lines.push(`Expired and still stored: ${expired}`)
  return lines.join('\n')
}
