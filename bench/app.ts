import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Contender } from './contenders/contender.ts'
import { contenders } from './contenders/index.ts'

// One contender's app: tsx bench/app.ts NAME URI. Says its port, and what it has used whenever it is asked.

/** What the process has used so far. */
export interface Used {
  /** Microseconds. */
  readonly cpu: number
  /** Bytes that are in use, and those that were and are not collected yet. */
  readonly allocated: number
}

const [name = '', uri = ''] = process.argv.slice(2)
const contender = contenders[name] as Contender
const place = { uri, name: name.toLowerCase().replace(/\W+/g, '_').replace(/^_|_$/g, '') }
const server = createServer(await contender.start(place))
server.keepAliveTimeout = 0
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))

process.on('message', message => {
  if (message === 'collect') globalThis.gc?.()
  const { user, system } = process.cpuUsage()
  const { heapUsed, external } = process.memoryUsage()
  process.send?.({ cpu: user + system, allocated: heapUsed + external } satisfies Used)
})
process.once('disconnect', () => process.exit())
