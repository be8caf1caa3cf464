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
  const traffic: Traffic = { commands: 0, bytes: 0 }
  const sockets = new Set<Socket>()
  const server = createServer(near => {
    const far = connect(Number(target.port || 27017), target.hostname)
    const count = messageCounter()
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
  through.searchParams.set('directConnection', 'true')
  return {
    uri: through.href,
    traffic,
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

/** Each message begins with its length, four bytes. */
function messageCounter(): (data: Buffer) => number {
  let rest: Buffer = Buffer.alloc(0)
  return data => {
    rest = Buffer.concat([rest, data])
    let messages = 0
    while (rest.length >= 4 && rest.length >= rest.readInt32LE()) {
      rest = rest.subarray(rest.readInt32LE())
      messages++
    }
    return messages
  }
}
