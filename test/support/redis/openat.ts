import type { Store } from '../../../src/store/store.ts'
import { redisStore } from '../../../src/stores/redis/store.ts'
import { kinds } from './clients.ts'

/** A store of the server at this port, by the client of this name. */
export async function openAt(
  client: string,
  port: number,
): Promise<{ readonly store: Store; close(): Promise<void> }> {
  const kind = kinds.find(({ name }) => name === client)
  if (!kind) throw new Error(`There is no client ${client}`)
  const connected = await kind.single(port)
  return { store: redisStore({ client: connected.client }), close: connected.close }
}
