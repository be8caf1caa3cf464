import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startMongoDB } from '../support/mongodb/server.ts'
import type { Place } from './stores.ts'

export interface NamedPlace {
  readonly name: string
  readonly place: Place
  remove(): Promise<void>
}

/** An empty store of this kind: `mongodb` or `lmdb`. */
export async function aPlace(store: string): Promise<NamedPlace> {
  if (store === 'lmdb') {
    const folder = await mkdtemp(join(tmpdir(), 'chaos-'))
    const place = { store, path: join(folder, 'sessions.lmdb') } as const
    return { name: 'LMDB', place, remove: () => rm(folder, { recursive: true }) }
  }
  if (store !== 'mongodb') throw new Error('--store is mongodb or lmdb')
  const server = await startMongoDB()
  if (!server) throw new Error('There is no MongoDB server')
  const place = { store, uri: server.uri, collection: `chaos_${randomUUID()}` } as const
  return { name: server.name, place, remove: server.stop }
}
