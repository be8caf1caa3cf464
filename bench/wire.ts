import { connect, createServer, type Socket } from 'node:net'
import type { Act } from './acts.ts'
import { portOf } from './processes.ts'

/** What has passed on the way to the database and back. */
export interface Traffic {
  /** Messages to the database. */
  commands: number
  /** Both ways. */
  bytes: number
}

export interface TrafficOf {
  readonly contender: string
  readonly act: Act
  readonly bytes: number
  /** For each request. */
  readonly commands: number
  readonly bytesMoved: number
}

export interface Wire {
  readonly uri: string
  readonly traffic: Traffic
  close(): void
}

/** A way to the database on which everything is counted. */
export async function aWire(uri: string): Promise<Wire> {
  const target = new URL(uri)
  const counter = counters[target.protocol] ?? ofMongoDB
  const traffic: Traffic = { commands: 0, bytes: 0 }
  const sockets = new Set<Socket>()
  const server = createServer(near => {
    const far = connect(Number(target.port || 27017), target.hostname)
    const count = counting(counter)
    near.on('data', data => {
      traffic.bytes += data.length
      traffic.commands += count(data)
    })
    far.on('data', data => {
      traffic.bytes += data.length
    })
    near.pipe(far).pipe(near)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
    }
  })
  const port = await portOf(server)
  const through = new URL(uri)
  through.host = `127.0.0.1:${port}`
  if (counter === ofMongoDB) through.searchParams.set('directConnection', 'true')
  return {
    uri: through.href,
    traffic,
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

/** How long the message is that bytes begin with, and whether it is a command; nothing as long as that cannot be told. */
type Measure = (bytes: Buffer) => { readonly length: number; readonly isCommand: boolean } | undefined

/** Each message begins with its length, four bytes. */
const ofMongoDB: Measure = bytes =>
  bytes.length < 4 ? undefined : { length: bytes.readInt32LE(), isCommand: true }

/** Each command is a list of texts, each of which begins with its length. */
const ofRedis: Measure = bytes => {
  const line = (from: number) => {
    const end = bytes.indexOf('\r\n', from)
    return end < 0 ? undefined : { number: Number(bytes.toString('latin1', from + 1, end)), next: end + 2 }
  }
  const count = line(0)
  if (!count) return undefined
  let at = count.next
  for (let left = count.number; left > 0; left--) {
    const text = line(at)
    if (!text) return undefined
    at = text.next + text.number + 2
  }
  return { length: at, isCommand: true }
}

/** Messages have a letter and their length; the first of a connection has none. What is answered begins with a query or a sync. */
const ofPostgreSQL: Measure = bytes => {
  if (bytes.length < 5) return undefined
  if (bytes[0] === 0) return { length: bytes.readInt32BE(), isCommand: false }
  const isCommand = 'QS'.includes(String.fromCharCode(bytes[0] as number))
  return { length: 1 + bytes.readInt32BE(1), isCommand }
}

const counters: Readonly<Record<string, Measure>> = { 'redis:': ofRedis, 'postgres:': ofPostgreSQL }

function counting(measure: Measure): (data: Buffer) => number {
  let rest: Buffer = Buffer.alloc(0)
  return data => {
    rest = Buffer.concat([rest, data])
    let commands = 0
    for (let next = measure(rest); next && rest.length >= next.length; next = measure(rest)) {
      rest = rest.subarray(next.length)
      commands += Number(next.isCommand)
    }
    return commands
  }
}
