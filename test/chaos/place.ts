import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startMongoDB } from '../support/mongodb/server.ts'
import { startPostgreSQL } from '../support/postgres/server.ts'
import { RedisServer } from '../support/redis/server.ts'
import { SmallDisk, withoutDisks } from '../support/sqlite/disk.ts'
import type { Place } from './stores.ts'

export interface NamedPlace {
  readonly name: string
  readonly place: Place
  /** Where the store is, if it can be filled. */
  readonly disk?: SmallDisk
  remove(): Promise<void>
}

/** `disk` is where the folder is, if it can be filled. */
function aFile(folder: string, disk?: SmallDisk): NamedPlace {
  const place = { store: 'sqlite', path: join(folder, 'sessions.sqlite') } as const
  return { name: 'SQLite', place, ...(disk && { disk }), remove: () => rm(folder, { recursive: true }) }
}

/** An empty store of this kind: `mongodb`, `sqlite`, Redis through `redis` or `ioredis`, or PostgreSQL through `pg` or `postgres`. */
export async function aPlace(store: string): Promise<NamedPlace> {
  if (store === 'sqlite') {
    if (withoutDisks) return aFile(await mkdtemp(join(tmpdir(), 'chaos-')))
    const disk = new SmallDisk(64)
    return { ...aFile(disk.folder, disk), remove: async () => disk.remove() }
  }
  if (store === 'pg' || store === 'postgres') {
    const server = await startPostgreSQL()
    if (!server) throw new Error('PostgreSQL is not installed')
    const place = { store, uri: server.uri, table: 'sessions' } as const
    return { name: `${server.name} through ${store}`, place, remove: server.stop }
  }
  if (store === 'redis' || store === 'ioredis') {
    const server = await RedisServer.start({ appendonly: 'yes' })
    const place = { store, uri: `redis://${server.host}:${server.port}`, prefix: 'chaos:' } as const
    return { name: `Redis through ${store}`, place, remove: () => server.stop() }
  }
  if (store !== 'mongodb') throw new Error('--store is mongodb, sqlite, redis, ioredis, pg or postgres')
  const server = await startMongoDB()
  if (!server) throw new Error('There is no MongoDB server')
  const place = { store, uri: server.uri, collection: `chaos_${randomUUID()}` } as const
  return { name: server.name, place, remove: server.stop }
}
