import { MongoClient } from 'mongodb'
import { idOf, newSecret } from '../src/ids.ts'
import { toStored } from '../src/store/record.ts'
import { startMongoDB } from '../test/support/mongodb/server.ts'
import { build, library } from './built.ts'

// What a call costs this process's CPU while 64 are under way, joined by the MongoDB store and made by hand, without HTTP
// around it: npm run bench:joining -- [rounds]

const ROUNDS = Number(process.argv[2] ?? 9)
const AT_ONCE = 64
const CALLS = 40
const HOUR = 3_600_000

build()
const { mongoStore } = await library<typeof import('../src/index.ts')>('index')
const server = await startMongoDB()
if (!server) throw new Error('The benchmark needs a MongoDB server: see CONTRIBUTING.md')
const client = await new MongoClient(server.uri).connect()
const collection = client.db().collection<{ _id: string }>('joining')
const ids = Array.from({ length: AT_ONCE }, () => idOf(newSecret()))
const now = Date.now()
await collection.insertMany(
  ids.map(id => {
    const life = { created: new Date(now), expires: new Date(now + HOUR), maxAge: HOUR }
    return toStored({ id, ...life, rev: 1, fields: { theme: 'dark' } })
  }),
)

const store = mongoStore({ collection })
const change = {
  guards: [],
  operations: [{ op: '$set', path: 'theme', arg: 'light' } as const],
  maxSize: 2 ** 20,
}
const alive = (_id: string) => ({ _id, expires: { $gt: new Date() } })
const calls: Record<string, (id: string) => Promise<unknown>> = {
  'findOne, by hand': id => collection.findOne(alive(id)),
  'load, joined': id => store.load(id),
  'findOne of a field, by hand': id =>
    collection.findOne(alive(id), { projection: { _id: 0, 'data.theme': 1 } }),
  'read, joined': id => store.read(id, ['theme']),
  'updateOne, by hand': id =>
    collection.updateOne(alive(id), { $set: { 'data.theme': 'light' }, $inc: { rev: 1 } }),
  'update, joined': id => store.update(id, change),
}

const taken = new Map(Object.keys(calls).map(name => [name, [] as number[]]))
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, call] of Object.entries(calls)) taken.get(name)?.push(await cpuOf(call))
}
for (const [name, each] of taken) {
  const [least, median, most] = [0, ROUNDS >> 1, ROUNDS - 1].map(at =>
    each.sort((a, b) => a - b)[at]?.toFixed(0),
  )
  console.log(`${name.padEnd(30)} ${median} µs of CPU a call (${least}–${most})`)
}
await client.close()
await server.stop()

async function cpuOf(call: (id: string) => Promise<unknown>): Promise<number> {
  const begun = process.cpuUsage()
  await Promise.all(
    ids.map(async id => {
      for (let times = 0; times < CALLS; times++) await call(id)
    }),
  )
  const { user, system } = process.cpuUsage(begun)
  return (user + system) / (AT_ONCE * CALLS)
}
