import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Collection, MongoClient } from 'mongodb'
import type { Contender, Stored } from './contenders/contender.ts'
import { contenders } from './contenders/index.ts'

// One contender's app: tsx bench/app.ts NAME URI. Says its port, and how much CPU it has used whenever it is asked.

const [name = '', uri = ''] = process.argv.slice(2)

/** Beats seldom, so that what is counted on the way to the server are the requests'. */
const client = new MongoClient(uri, { heartbeatFrequencyMS: 3_600_000 })

function collection(): Collection<Stored> {
  return client.db('bench').collection(name.replace(/\W+/g, '_'))
}

const contender = contenders[name] as Contender
const server = createServer(await contender.start(collection))
server.keepAliveTimeout = 0
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))

process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.(user + system)
})
process.once('disconnect', () => process.exit())
