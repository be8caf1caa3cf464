import { setImmediate } from 'node:timers/promises'
import type { Change, Operation, SessionId, SessionRecord, Store } from '../../../src/index.ts'
import { excerpt } from '../../../src/language/excerpt.ts'
import { applied } from '../../../src/language/operators.ts'
import { slowly } from '../slowly.ts'
import type { Random } from './random.ts'

/** Breaks one promise of a store that keeps them all. */
export type Breaking = (store: Store, random: Random) => Store

/** The store as it is, every call of which takes a while, before and after it takes effect. */
export function slow(store: Store): Store {
  return {
    insert: record => slowly(() => store.insert(record)),
    load: id => slowly(() => store.load(id)),
    read: (id, paths) => slowly(() => store.read(id, paths)),
    update: (id, change, answer) => slowly(() => store.update(id, change, answer)),
    end: (id, tombstone, until, rev) => slowly(() => store.end(id, tombstone, until, rev)),
    delete: id => slowly(() => store.delete(id)),
  }
}

/** Long enough for others to come between. */
async function pause(): Promise<void> {
  for (let turns = 0; turns < 5; turns++) await setImmediate()
}

const NOTHING: Change = { guards: [], operations: [] }

export const breakings: Readonly<Record<string, Breaking>> = {
  'reads, modifies and writes back without atomicity': store => ({
    ...slow(store),
    async update(id, change, answer) {
      // The guards are decided, and errors found, of what was read.
      const found = await store.load(id)
      if (!found || 'ended' in found) return found ? 'ended' : 'absent'
      const outcome = await store.update(id, { ...change, operations: [] })
      if (outcome === 'refused') return outcome
      const fields = applied(found.fields, change.operations)
      await pause()
      const written = await store.update(id, { ...NOTHING, operations: replacing(found, fields) }, answer)
      if (typeof written === 'string' || answer?.when !== 'before') return written
      return { ...written, fields: excerpt(found.fields, answer.paths) }
    },
  }),

  'brings an ended session back to life with a late change': store => {
    const last = new Map<SessionId, SessionRecord>()
    return {
      ...slow(store),
      async update(id, change, answer) {
        await pause()
        const outcome = await store.update(id, change, answer)
        const record = last.get(id)
        if (outcome !== 'ended' || !record) return outcome
        await store.delete(id)
        await store.insert(record)
        return store.update(id, change, answer)
      },
      async end(id, ...rest) {
        const found = await store.load(id)
        if (found && !('ended' in found)) last.set(id, found)
        await pause()
        return store.end(id, ...rest)
      },
    }
  },

  'applies a change twice now and then': (store, random) => ({
    ...slow(store),
    async update(id, change, answer) {
      const outcome = await store.update(id, change, answer)
      if (random.chance(0.1)) await store.update(id, change).catch(() => {})
      await pause()
      return outcome
    },
  }),

  'answers from a stale picture now and then': (store, random) => {
    const stale = new Map<SessionId, Awaited<ReturnType<Store['load']>>>()
    return {
      ...slow(store),
      async load(id) {
        await pause()
        if (stale.has(id) && random.chance(0.2)) return stale.get(id)
        const found = await store.load(id)
        if (random.chance(0.2)) stale.set(id, found)
        return found
      },
    }
  },

  'applies a chain in parts': store => ({
    ...slow(store),
    async update(id, { operations, ...change }, answer) {
      const [first, ...others] = operations
      let outcome = await store.update(id, { ...change, operations: first ? [first] : [] }, answer)
      for (const operation of others) {
        if (typeof outcome === 'string') return outcome
        await pause()
        outcome = await store.update(id, { ...NOTHING, operations: [operation] }, answer)
      }
      return outcome
    },
  }),

  'decides a guard before it applies the change': store => {
    let changes = 0
    return {
      ...slow(store),
      async update(id, { guards, ...change }, answer) {
        if (guards.length > 0) {
          const outcome = await store.update(id, { ...NOTHING, guards })
          if (typeof outcome === 'string') return outcome
          // Most changes leave a guard as it was decided, so that one alone between the two would seldom tell.
          const enough = changes + 10
          for (let turns = 0; turns < 100 && changes < enough; turns++) await setImmediate()
        }
        await pause()
        changes++
        return store.update(id, { ...change, guards: [] }, answer)
      },
    }
  },

  'forgets a change it has acknowledged now and then': (store, random) => ({
    ...slow(store),
    async update(id, change, answer) {
      await pause()
      if (answer || random.chance(0.5)) return store.update(id, change, answer)
      return store.update(id, { ...change, operations: [] })
    },
  }),
}

/** Writes the whole session, as ordinary session middleware does. */
function replacing(found: SessionRecord, fields: Record<string, unknown>): Operation[] {
  const removed = Object.keys(found.fields).filter(name => !(name in fields))
  return [
    ...Object.entries(fields).map(([path, arg]) => ({ op: '$set' as const, path, arg })),
    ...removed.map(path => ({ op: '$unset' as const, path })),
  ]
}
