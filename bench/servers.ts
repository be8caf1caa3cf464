import { startMongoDB } from '../test/support/mongodb/server.ts'
import { startPostgreSQL } from '../test/support/postgres/server.ts'
import { RedisServer, version, withoutRedis } from '../test/support/redis/server.ts'
import { storeOf } from './figures.ts'

/** The database server of a store. */
export interface Server {
  /** For people: which one it is. */
  readonly name: string
  readonly uri: string
  stop(): Promise<void>
}

const starts: Readonly<Record<string, () => Promise<Server | undefined>>> = {
  MongoDB: startMongoDB,
  async Redis() {
    if (withoutRedis) return undefined
    const server = await RedisServer.start()
    return {
      name: `Redis ${version}`,
      uri: `redis://${server.host}:${server.port}`,
      stop: () => server.stop(),
    }
  },
  PostgreSQL: () => startPostgreSQL(),
}

/** The servers that contenders need, by store. A contender without a store of its own has the driver of MongoDB, or none. */
export class Servers {
  readonly #servers: ReadonlyMap<string, Server>

  private constructor(servers: ReadonlyMap<string, Server>) {
    this.#servers = servers
  }

  static async start(contenders: readonly string[]): Promise<Servers> {
    const servers = new Map<string, Server>()
    for (const store of new Set(contenders.map(storeWanted))) {
      const start = starts[store]
      if (!start) continue
      const server = await start()
      if (!server) throw new Error(`The benchmark needs a ${store} server: see CONTRIBUTING.md`)
      servers.set(store, server)
    }
    return new Servers(servers)
  }

  /** For people: which they are. */
  get name(): string {
    return Array.from(this.#servers.values(), ({ name }) => name).join(', ')
  }

  /** Empty for a contender that needs no server. */
  uriFor(contender: string): string {
    return this.#servers.get(storeWanted(contender))?.uri ?? ''
  }

  async stop(): Promise<void> {
    for (const server of this.#servers.values()) await server.stop()
  }
}

function storeWanted(contender: string): string {
  return contender === 'Koa, driver connected' ? 'MongoDB' : storeOf(contender)
}
