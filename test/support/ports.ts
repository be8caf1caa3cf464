import { once } from 'node:events'
import { createServer, type Server } from 'node:net'

/**
 * Lower than those that systems give to whoever asks for any, so that no connection and no other server gets a port that is free for a
 * moment. A process has a part of them, from which few others take any, so that its server may stop and start again. Nodes of a cluster
 * of Redis 6 speak to each other on a port that is larger by 10,000, which must be one of these too.
 */
const PARTS = 40
const SIZE = 300
const FIRST = 10_000 + (process.pid % PARTS) * SIZE

/** Has a server listen on a free port, and gives that. */
export async function listenSomewhere(server: Server): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * SIZE)
    server.listen(port, '127.0.0.1')
    try {
      await once(server, 'listening')
      return port
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    }
  }
}

/** A port on which nobody listens. Another test may take it before it is used. */
export async function freePort(): Promise<number> {
  const server = createServer()
  const port = await listenSomewhere(server)
  server.close()
  await once(server, 'close')
  return port
}
