import { openMongoDB } from './mongodb/open.ts'
import type { OpenedStore } from './opened.ts'
import { openPostgreSQL } from './postgres/open.ts'
import { openRedis } from './redis/open.ts'
import { openSQLite } from './sqlite/open.ts'
import type { Target } from './target.ts'

/** Opens a store as it is: nothing is made that is not there. */
export function openStore(target: Target): Promise<OpenedStore> {
  switch (target.kind) {
    case 'mongodb':
      return openMongoDB(target)
    case 'redis':
      return openRedis(target)
    case 'postgres':
      return openPostgreSQL(target)
    case 'sqlite':
      return openSQLite(target)
  }
}
