import { MongoClient } from 'mongodb'
import { Pool } from 'pg'
import postgres from 'postgres'
import { mongoStore, type Store } from '../../../src/index.ts'
import { lmdbStore } from '../../../src/stores/lmdb/store.ts'
import { postgresStore } from '../../../src/stores/postgres/store.ts'
import { clientOptions } from '../mongodb/options.ts'
import { startApp } from './app.ts'
import { forgetful } from './forgetful.ts'
import { Random } from './random.ts'

// One process of the app: says where it answers, and ends with the process that started it.

const [kind, place = '', seed, probability] = process.argv.slice(2)

function mongo() {
  const client = new MongoClient(process.env.MONGODB_URI ?? '', clientOptions)
  return mongoStore({ collection: client.db('tests').collection(place) })
}

function postgreSQL() {
  const [uri = '', table = ''] = place.split('#')
  const pool = kind === 'pg' ? new Pool({ connectionString: uri, max: 4 }) : postgres(uri, { max: 4 })
  return postgresStore({ pool, table })
}

const stores: Record<string, () => Store> = {
  mongodb: mongo,
  lmdb: () => lmdbStore({ path: place }),
  pg: postgreSQL,
  postgres: postgreSQL,
}
const store = stores[kind ?? '']?.() as Store
const { origin } = await startApp(forgetful(store, new Random(Number(seed)), Number(probability)))
process.once('disconnect', () => process.exit())
process.send?.(origin)
