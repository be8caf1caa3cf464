import { MongoClient } from 'mongodb'
import { mongoStore } from '../../../src/index.ts'
import { failFast } from '../mongodb/options.ts'
import { startApp } from './app.ts'
import { forgetful } from './forgetful.ts'
import { Random } from './random.ts'

// One process of the app: says where it answers, and ends with the process that started it.

const [uri = '', collectionName = '', seed, probability] = process.argv.slice(2)
const client = new MongoClient(uri, failFast)
const store = mongoStore({ collection: client.db('tests').collection(collectionName) })
const { origin } = await startApp(forgetful(store, new Random(Number(seed)), Number(probability)))
process.once('disconnect', () => process.exit())
process.send?.(origin)
