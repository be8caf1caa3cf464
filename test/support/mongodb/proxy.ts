import { connect, createServer, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { MongoClient } from 'mongodb'
import { failFast } from './options.ts'

export interface Proxy {
  /** Connected to the server of `MONGODB_URI` through the proxy. */
  readonly client: MongoClient
  /** From here on the server gets what it is sent, and its answers are lost with the connection. */
  loseAnswers(): void
}

/** A way to the MongoDB server of the tests that can fail on demand; closed when the test ends. */
export async function aProxy(t: TestContext): Promise<Proxy> {
  const target = new URL(process.env.MONGODB_URI ?? '')
  const sockets = new Set<Socket>()
  let losesAnswers = false

  const server = createServer(near => {
    const far = connect(Number(target.port || 27017), target.hostname)
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => other.destroy())
    }
    near.on('data', data => far.write(data))
    far.on('data', data => (losesAnswers ? near.destroy() : near.write(data)))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))

  const uri = new URL(target)
  uri.host = `127.0.0.1:${portOf(server)}`
  uri.searchParams.set('directConnection', 'true')
  const client = new MongoClient(uri.href, { ...failFast, serverSelectionTimeoutMS: 300 })
  t.after(async () => {
    await client.close()
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    client,
    loseAnswers: () => {
      losesAnswers = true
    },
  }
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not listening')
  return address.port
}
