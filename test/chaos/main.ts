import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startMongoDB } from '../support/mongodb/server.ts'
import { breakages } from './broken.ts'
import { chaos } from './chaos.ts'
import type { Place } from './stores.ts'

// npm run chaos -- --minutes 5 --seed 1 [--store mongodb|lmdb] [--break NAME]

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    store: { type: 'string', default: 'mongodb' },
    break: { type: 'string' },
  },
})
const breakage = values.break
if (breakage !== undefined && !breakages[breakage]) {
  throw new Error(`--break is one of ${Object.keys(breakages).join(', ')}`)
}

const { name, place, remove } = await aPlace(values.store)
console.log(`seed ${values.seed}, ${values.minutes} minutes, ${name}`)
try {
  const { counts, violations, sessions } = await chaos({
    place,
    seconds: 60 * Number(values.minutes),
    seed: Number(values.seed),
    breakage,
  })
  console.log(`${sessions} sessions`)
  for (const [what, times] of [...counts].sort()) console.log(`${String(times).padStart(8)} ${what}`)
  for (const violation of violations) console.error(`VIOLATION ${violation}`)
  if (violations.length > 0) process.exitCode = 1
  else console.log('What was acknowledged is there, and nothing else')
} finally {
  await remove()
}

interface NamedPlace {
  readonly name: string
  readonly place: Place
  remove(): Promise<void>
}

async function aPlace(store: string): Promise<NamedPlace> {
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
