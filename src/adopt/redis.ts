/** The methods of a Redis client that are used. Clients of `redis`, `ioredis` and `iovalkey` have them, also for a cluster. */
export interface AdoptingRedisClient {
  get(key: string): Promise<unknown>
  del(key: string): Promise<unknown>
}

/** The parsed value of a key; `undefined` if it is absent or cannot be parsed. */
export async function parsedAt(
  client: AdoptingRedisClient,
  key: string,
  parse: (text: string) => unknown,
): Promise<unknown> {
  const text = await client.get(key)
  if (!text) return undefined
  try {
    return await parse(String(text))
  } catch {
    return undefined
  }
}
