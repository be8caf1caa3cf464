import { adopterOptions, assertMethods } from './checks.ts'
import { isPast } from './other-session.ts'
import type { ExpressSessionStore } from './stored-session.ts'

/** The methods of a collection that are used. A collection of the official driver has them. */
export interface ConnectMongoCollection {
  findOne(filter: object): Promise<object | null>
  deleteOne(filter: object): Promise<unknown>
}

/** For `expressSession`: the sessions that connect-mongo stored, unless it was given `crypto` or `transformId`. */
export function connectMongo(options: { collection: ConnectMongoCollection }): ExpressSessionStore {
  const { collection } = adopterOptions('connectMongo', options, ['collection'])
  assertMethods('connectMongo: collection', collection, ['findOne', 'deleteOne'])
  return {
    async load(_id) {
      const document = (await collection.findOne({ _id })) as { session?: unknown; expires?: unknown } | null
      return document && !isPast(document.expires) ? document.session : undefined
    },
    destroy: _id => collection.deleteOne({ _id }),
  }
}
