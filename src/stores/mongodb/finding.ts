import type { MongoDBCollection } from './collection.ts'
import { isOfDriver } from './errors.ts'

/**
 * The documents that a filter finds. Those among which one cannot be decoded are read one by one, and that one without its
 * fields: whoever ends all sessions of a user must come by it.
 */
export async function* found(
  collection: MongoDBCollection,
  filter: object,
  options: object,
): AsyncGenerator<object> {
  const seen = new Set<string>()
  try {
    for await (const document of collection.find(filter, options)) {
      seen.add(nameOf(document))
      yield document
    }
    return
  } catch (error) {
    if (isOfDriver(error)) throw error
  }
  for await (const document of collection.find(filter, { ...options, projection: { _id: 1 } })) {
    if (seen.has(nameOf(document))) continue
    const one = { ...filter, ...document }
    const read = await collection.findOne(one, options).catch(error => {
      if (isOfDriver(error)) throw error
      return collection.findOne(one, { ...options, projection: { data: 0 } })
    })
    if (read) yield read
  }
}

/** An id of ours is a text; what somebody else has stored may be under anything. */
function nameOf(document: object): string {
  return String('_id' in document && document._id)
}
