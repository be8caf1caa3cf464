/** What is asked of a client of Redis: one of `redis`, `ioredis` or `iovalkey` is one, also of a cluster. */
export interface AdoptingRedisClient {
  get(key: string): Promise<unknown>
  del(key: string): Promise<unknown>
}

/** What a key holds, as `parse` reads it; nothing, if that cannot be read. */
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
