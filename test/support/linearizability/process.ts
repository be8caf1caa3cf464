import { MongoClient } from 'mongodb'
import { mongoStore } from '../../../src/index.ts'
import { lmdbStore } from '../../../src/stores/lmdb/store.ts'
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

const store = kind === 'lmdb' ? lmdbStore({ path: place }) : mongo()
const { origin } = await startApp(forgetful(store, new Random(Number(seed)), Number(probability)))
process.once('disconnect', () => process.exit())
process.send?.(origin)
