import { setImmediate } from 'node:timers/promises'
import type { SessionId } from '../../../src/ids.ts'
import { combined } from '../../../src/store/combining.ts'
import type { Outcome, Store } from '../../../src/store/store.ts'
import type { Swap } from '../../../src/stores/draft.ts'
import { memoryStore } from '../../../src/stores/memory.ts'
import { fieldStore } from '../../support/fieldstore.ts'
import { type BrokenStore, broken, livingRecord } from './breaking.ts'

/** A store of fields whose processes combine their changes, and whose database does not compare all of a swap. */
function comparing(fault: string, caughtBy: string, compared: (swap: Swap) => Swap): BrokenStore {
  const prepare = () => {
    const database = fieldStore({ compared })
    return () => combined(database)
  }
  return { fault, promise: 'processes', caughtBy, prepare }
}

const anySize = { above: Number.NEGATIVE_INFINITY, atMost: Number.POSITIVE_INFINITY }

/** Stores that are right as long as one process uses their data. */
export const brokenAcrossProcesses: BrokenStore[] = [
  broken(
    'it is atomic by a lock of its process',
    'processes',
    'by two processes in turns: of hundreds of changes at once none is lost',
    sound => {
      let last: Promise<unknown> = Promise.resolve()
      const alone = (work: () => Promise<Outcome>) => {
        const done = last.then(work)
        last = done.catch(() => {})
        return done
      }
      return { update: (id, change, answer) => alone(() => inTheProcess(sound, id, change, answer)) }
    },
  ),
  broken(
    'it remembers what it has read',
    'processes',
    'what one process has done another one sees',
    sound => {
      const cache = new Map<SessionId, Awaited<ReturnType<Store['load']>>>()
      return {
        load: async id => {
          if (!cache.has(id)) cache.set(id, await sound.load(id))
          return structuredClone(cache.get(id))
        },
        update: (id, change, answer) => {
          cache.delete(id)
          return sound.update(id, change, answer)
        },
        end: (id, tombstone, until, rev) => {
          cache.delete(id)
          return sound.end(id, tombstone, until, rev)
        },
      }
    },
  ),
  comparing(
    'its database compares nothing of a swap',
    'by two processes in turns: of hundreds of changes at once none is lost',
    ({ life: _, ...swap }) => ({ ...swap, seen: new Map(), isRevFixed: false, size: anySize }),
  ),
  comparing(
    'its database does not compare fields',
    'by two processes in turns: of hundreds of changes at once none is lost',
    swap => ({ ...swap, seen: new Map() }),
  ),
  comparing(
    'its database compares only fields that it writes',
    'a guard sees what another process does to a field that the change leaves alone',
    swap => ({
      ...swap,
      seen: new Map([...swap.seen].filter(([name]) => swap.set.has(name) || swap.unset.includes(name))),
    }),
  ),
  comparing(
    'its database does not compare a revision that a change is for',
    'of changes for one revision by two processes at once, one is applied',
    swap => ({ ...swap, isRevFixed: false }),
  ),
  comparing(
    'its database does not compare sizes',
    'no two processes together make a session larger than it may be',
    swap => ({ ...swap, size: anySize }),
  ),
  comparing(
    'its database does not compare lifetimes',
    'no process undoes the lifetime that another one has given to a session',
    ({ life: _, ...swap }) => swap,
  ),
  comparing(
    'its database does not compare when a session ends',
    'no process shortens the life that another one has given to a session',
    ({ life: _, ...swap }) => swap,
  ),
]

/** Reads the session, applies the change in the process, and writes the whole session. */
async function inTheProcess(
  sound: Store,
  ...[id, change, answer]: Parameters<Store['update']>
): Promise<Outcome> {
  const record = await livingRecord(sound, id)
  if (!record) return sound.update(id, change, answer)
  const scratch = memoryStore()
  await scratch.insert(record)
  const outcome = await scratch.update(id, change, answer)
  const after = await livingRecord(scratch, id)
  await setImmediate()
  if (after) await Promise.all([sound.delete(id), sound.insert(after)])
  return outcome
}
