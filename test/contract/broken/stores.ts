import { setImmediate } from 'node:timers/promises'
import { CommandError, FieldError, StoreUnavailableError } from '../../../src/errors.ts'
import type { SessionId } from '../../../src/ids.ts'
import { holds } from '../../../src/language/guard.ts'
import { applied } from '../../../src/language/operators.ts'
import { isEnded, type SessionRecord } from '../../../src/store/record.ts'
import type { Outcome, Store } from '../../../src/store/store.ts'
import { memoryStore } from '../../../src/stores/memory.ts'
import { inAnHour } from '../../../src/testing/contract/records.ts'
import { joinable } from '../../support/joinable.ts'
import {
  type BrokenStore,
  born,
  broken,
  joinedWith,
  livingRecord,
  over,
  refusal,
  updating,
} from './breaking.ts'
import { brokenInCases } from './cases.ts'
import { brokenAcrossProcesses } from './processes.ts'

export const brokenStores: BrokenStore[] = [
  ...brokenInCases,
  ...brokenAcrossProcesses,
  broken('it counts what has ended', 'counting', 'sessions are counted that live', sound => {
    const ids = new Set<SessionId>()
    return {
      insert(record) {
        ids.add(record.id)
        return sound.insert(record)
      },
      delete(id) {
        ids.delete(id)
        return sound.delete(id)
      },
      async count() {
        const found = await Promise.all([...ids].map(id => sound.load(id)))
        return found.filter(one => one !== undefined).length
      },
    }
  }),
  broken('it sweeps who lives', 'sweeping', 'sweeping removes what has expired', sound => {
    const ids = new Set<SessionId>()
    return {
      insert(record) {
        ids.add(record.id)
        return sound.insert(record)
      },
      async sweep() {
        const swept = await sound.sweep?.()
        await sound.delete([...ids][0] ?? '')
        return swept ?? 0
      },
    }
  }),
  broken(
    'it takes a value that it cannot encode for an outage',
    'values',
    'a value that another version of bson made is refused by its path',
    updating((sound, id, change, answer) =>
      sound.update(id, change, answer).catch(error => {
        throw error instanceof FieldError ? new StoreUnavailableError('away', 'unknown') : error
      }),
    ),
  ),
  broken(
    'extending undoes another lifetime',
    'expiry',
    'extending leaves a session alone whose lifetime is another',
    updating((sound, id, { whileMaxAge: _, ...change }, answer) => sound.update(id, change, answer)),
  ),
  broken(
    'it does not say that it has not extended',
    'expiry',
    'extending leaves a session alone whose lifetime is another',
    updating(async (sound, id, change, answer) => {
      const outcome = await sound.update(id, change, answer)
      if (typeof outcome !== 'object') return outcome
      const { maxAge: _, ...rest } = outcome
      return rest
    }),
  ),
  broken(
    'it says always that it has not extended',
    'expiry',
    'of many changes at once each is told whether it has extended its session',
    updating(async (sound, id, change, answer) => {
      const outcome = await sound.update(id, change, answer)
      const record = await livingRecord(sound, id)
      return typeof outcome === 'object' && record ? { ...outcome, maxAge: record.maxAge } : outcome
    }),
  ),
  broken(
    'it tells the lifetime that the change goes by',
    'expiry',
    'extending leaves a session alone whose lifetime is another',
    updating(async (sound, id, change, answer) => {
      const outcome = await sound.update(id, change, answer)
      if (typeof outcome !== 'object' || outcome.maxAge === undefined) return outcome
      return { ...outcome, maxAge: change.whileMaxAge ?? outcome.maxAge }
    }),
  ),
  broken(
    'it compares the lifetime before it changes',
    'expiry',
    'no extension that goes by an older lifetime undoes a newer one',
    updating(async (sound, id, { whileMaxAge, ...change }, answer) => {
      const record = await livingRecord(sound, id)
      await setImmediate()
      if (!record || whileMaxAge === undefined || whileMaxAge === record.maxAge) {
        return sound.update(id, change, answer)
      }
      const { expires: _, ...rest } = change
      const outcome = await sound.update(id, rest, answer)
      return typeof outcome === 'object' ? { ...outcome, maxAge: record.maxAge } : outcome
    }),
  ),
  broken(
    'it takes those that go together for extended',
    'expiry',
    'of many changes at once each is told whether it has extended its session',
    joinedWith(sound => ({
      updateMany: async updates => {
        const results = await joinable(sound).updateMany(updates)
        return results.map(result =>
          result.status === 'fulfilled' && typeof result.value === 'object'
            ? { ...result, value: {} }
            : result,
        )
      },
    })),
  ),
  broken(
    'extending shortens',
    'expiry',
    'extending a session does not shorten the life',
    updating(async (sound, id, change, answer) => {
      const found = await livingRecord(sound, id)
      const lifetime = change.expires && found && { maxAge: change.maxAge ?? found.maxAge }
      return sound.update(id, { ...change, ...lifetime }, answer)
    }),
  ),
  broken(
    'it upserts',
    'changing',
    'a change to a session that does not exist writes nothing',
    updating(async (sound, id, change, answer) => {
      const outcome = await sound.update(id, change, answer)
      if (outcome === 'absent') await sound.insert(born(id, change)).catch(() => {})
      return outcome
    }),
  ),
  {
    fault: 'it forgets expiry',
    promise: 'expiry',
    caughtBy: 'a session whose time has come does not exist',
    prepare: () => over(memoryStore({ clock: () => Number.NEGATIVE_INFINITY })),
  },
  {
    fault: 'its clock is a tenth of a second behind',
    promise: 'expiry',
    caughtBy: 'a session lives until the very millisecond of its end',
    prepare: () => over(memoryStore({ clock: () => Date.now() - 100 })),
  },
  {
    fault: 'it lets a session live a millisecond too long',
    promise: 'expiry',
    caughtBy: 'a session lives until the very millisecond of its end',
    prepare: () => over(memoryStore({ clock: () => Date.now() - 1 })),
  },
  broken('it forgets the absolute limit', 'expiry', 'an absolute limit is kept as it was given', sound => ({
    insert: ({ absolute: _, ...record }) => sound.insert(record),
  })),
  broken('it moves the absolute limit', 'expiry', 'an absolute limit is kept as it was given', sound => ({
    update: async (id, change, answer) => {
      const outcome = await sound.update(id, change, answer)
      const record = await livingRecord(sound, id)
      if (record?.absolute && change.expires) {
        await sound.delete(id)
        await sound.insert({ ...record, absolute: change.expires })
      }
      return outcome
    },
  })),
  broken(
    'it hands out its own objects',
    'isolation',
    'altering what was loaded does not alter the session',
    sound => {
      const cache = new Map<SessionId, SessionRecord>()
      return {
        load: async id => {
          const found = await sound.load(id)
          if (!found || isEnded(found)) return found
          const known = cache.get(id)
          if (known?.rev === found.rev) return known
          cache.set(id, found)
          return found
        },
      }
    },
  ),
  broken(
    "it keeps the caller's objects",
    'isolation',
    'altering what was given to a new session does not alter the session',
    sound => {
      const given = new Map<SessionId, SessionRecord>()
      return {
        insert: async record => {
          await sound.insert(record)
          given.set(record.id, record)
        },
        load: async id => {
          const found = await sound.load(id)
          if (!found || isEnded(found) || found.rev > 1) return found
          return { ...found, fields: structuredClone(given.get(id)?.fields ?? {}) }
        },
      }
    },
  ),
  broken(
    'it alters what it is given',
    'isolation',
    'a store alters nothing that it is given',
    updating((sound, id, change, answer) => {
      Object.assign(change.operations, { length: change.operations.length })
      Object.assign(change, { maxAge: 1000 })
      return sound.update(id, change, answer)
    }),
  ),
  broken(
    'it reads, changes and writes',
    'concurrency',
    'of hundreds of changes at once none is lost',
    updating(async (sound, id, change, answer) => {
      const record = await livingRecord(sound, id)
      if (!record) return sound.update(id, change, answer)
      if (!holds(change.guards, record.fields)) return 'refused'
      const fields = applied(record.fields, change.operations)
      await setImmediate()
      await sound.delete(id)
      const { expires = record.expires, maxAge = record.maxAge } = change
      await sound.insert({ ...record, expires, maxAge, rev: record.rev + 1, fields })
      return answer ? { rev: record.rev + 1, fields } : {}
    }),
  ),
  broken(
    'it decides about guards before it changes',
    'concurrency',
    'of hundreds who would spend at once no one overdraws',
    updating(async (sound, id, change, answer) => {
      const record = await livingRecord(sound, id)
      if (record && !holds(change.guards, record.fields)) return 'refused'
      await setImmediate()
      return sound.update(id, { ...change, guards: [] }, answer)
    }),
  ),
  broken(
    'it answers with what it reads a moment later',
    'concurrency',
    'of hundreds of changes at once each is answered with its own result and revision',
    updating(async (sound, id, change, answer) => {
      const outcome = await sound.update(id, change, answer)
      if (!answer || typeof outcome !== 'object' || answer.when === 'before') return outcome
      await setImmediate()
      const found = await sound.read(id, answer.paths)
      return found && 'rev' in found ? found : outcome
    }),
  ),
  broken(
    'it takes what goes together for applied',
    'joining',
    'of hundreds of changes at once each is told its own outcome',
    joinedWith(sound => ({
      updateMany: async updates => {
        await joinable(sound).updateMany(updates)
        return updates.map(() => ({ status: 'fulfilled', value: {} }))
      },
    })),
  ),
  broken(
    'it fails all that go together for one',
    'joining',
    'of hundreds of changes at once each is told its own outcome',
    joinedWith(sound => ({
      updateMany: async updates => {
        const results = await joinable(sound).updateMany(updates)
        return results.map(result => results.find(({ status }) => status === 'rejected') ?? result)
      },
    })),
  ),
  broken(
    'it tries together what it then does alone',
    'joining',
    'of hundreds of changes at once each is made to its own session, once',
    joinedWith(sound => ({
      updateMany: async updates => {
        await joinable(sound).updateMany(updates)
        return joinable(sound).updateMany(updates)
      },
    })),
  ),
  broken(
    'it answers loads in the order in which it finds',
    'joining',
    'of hundreds of sessions loaded at once each is answered with its own, or that there is none',
    joinedWith(sound => ({ loadMany: ids => joinable(sound).loadMany(ids.toSorted()) })),
  ),
  broken(
    'it answers reads in the order in which it finds',
    'joining',
    'of hundreds of sessions read at once each is answered with its own fields, or that there is none',
    joinedWith(sound => ({ readMany: (ids, paths) => joinable(sound).readMany(ids.toSorted(), paths) })),
  ),
  broken(
    'it answers reads that wait with the fields of the first of them',
    'joining',
    'of hundreds of sessions read at once each is answered with its own fields, or that there is none',
    sound => {
      let first: readonly string[] | undefined
      return {
        read: (id, paths) => {
          first ??= paths
          return sound.read(id, first)
        },
      }
    },
  ),
  broken(
    'it answers with the load that is under way',
    'joining',
    'what was acknowledged is seen by whoever asks afterwards, however many ask',
    sound => {
      const underWay = new Map<SessionId, ReturnType<Store['load']>>()
      return {
        load: async id => {
          const load = underWay.get(id) ?? sound.load(id)
          underWay.set(id, load)
          const found = await load
          await setImmediate()
          underWay.delete(id)
          return structuredClone(found)
        },
      }
    },
  ),
  broken(
    'it hands one object to all who load at once',
    'joining',
    'of hundreds who load one session at once each has a copy of its own',
    sound => {
      const underWay = new Map<SessionId, ReturnType<Store['load']>>()
      return {
        load: id => {
          const load = underWay.get(id) ?? sound.load(id)
          underWay.set(id, load)
          return load.finally(() => underWay.delete(id))
        },
      }
    },
  ),
  broken(
    'it writes later what it has acknowledged',
    'joining',
    'changes of one session are made in the order in which they are answered',
    sound => {
      let late: (() => Promise<Outcome>) | undefined
      return {
        update: async (id, change, answer) => {
          const before = late
          late = undefined
          if (!answer && !before) {
            late = () => sound.update(id, change)
            return {}
          }
          const outcome = await sound.update(id, change, answer)
          await before?.()
          return outcome
        },
      }
    },
  ),
  broken(
    'it revives ended sessions',
    'ending',
    'a change to an ended session writes nothing and brings nothing back',
    updating(async (sound, id, change, answer) => {
      const outcome = await sound.update(id, change, answer)
      if (outcome !== 'ended') return outcome
      await sound.delete(id)
      await sound.insert(born(id, change))
      return {}
    }),
  ),
  broken('it prolongs tombstones', 'ending', 'a tombstone is gone when its time has come', sound => ({
    end: (id, tombstone, _, rev) => sound.end(id, tombstone, inAnHour(), rev),
  })),
  broken(
    'it ends without a tombstone',
    'ending',
    'an ended session leaves its tombstone and nothing else',
    sound => ({
      end: async (id, tombstone, until, rev) => {
        const isEnded = await sound.end(id, tombstone, until, rev)
        if (isEnded) await sound.delete(id)
        return isEnded
      },
    }),
  ),
  broken(
    'it ends a session at whatever revision',
    'ending',
    'a session is ended only at the revision that is named',
    sound => ({ end: (id, tombstone, until) => sound.end(id, tombstone, until) }),
  ),
  broken(
    'it compares the revision before it ends',
    'concurrency',
    'a session that is moved to another id amid hundreds of changes loses none',
    sound => ({
      end: async (id, tombstone, until, rev) => {
        const record = await livingRecord(sound, id)
        if (rev !== undefined && record?.rev !== rev) return false
        await setImmediate()
        return sound.end(id, tombstone, until)
      },
    }),
  ),
  broken(
    'it lets a second end replace the first',
    'ending',
    'who ends a session is told so, and only the first',
    sound => ({
      end: async (id, tombstone, until, rev) => {
        const found = await sound.load(id)
        if (!found || !isEnded(found)) return sound.end(id, tombstone, until, rev)
        await sound.delete(id)
        await sound.insert(born(id, { guards: [], operations: [] }))
        return sound.end(id, tombstone, until)
      },
    }),
  ),
  broken(
    'it leaves a tombstone of what never was',
    'ending',
    'ending a session that does not exist is no error and leaves nothing',
    sound => ({
      end: async (id, tombstone, until, rev) => {
        if (await sound.load(id)) return sound.end(id, tombstone, until, rev)
        await sound.insert(born(id, { guards: [], operations: [] })).catch(() => {})
        await sound.end(id, tombstone, until)
        return false
      },
    }),
  ),
  broken(
    'it inserts over another session',
    'creation',
    'a new session is never written over another',
    sound => ({
      insert: async record => {
        if (await livingRecord(sound, record.id)) await sound.delete(record.id)
        await sound.insert(record)
      },
    }),
  ),
  broken(
    'it reuses the ids of the ended',
    'creation',
    'a new session never takes the id of one that has ended',
    sound => ({
      insert: async record => {
        const found = await sound.load(record.id)
        if (found && isEnded(found)) await sound.delete(record.id)
        await sound.insert(record)
      },
    }),
  ),
  broken('it deletes by ending', 'ending', 'a deleted session leaves no trace', sound => ({
    delete: async id => {
      await sound.end(id, { ended: new Date() }, inAnHour())
    },
  })),
  broken(
    'it applies what it can of a change',
    'changing',
    'a change of which one part is refused is not applied at all',
    updating(async (sound, id, change, answer) => {
      try {
        return await sound.update(id, change, answer)
      } catch (error) {
        for (const operation of change.operations) {
          await sound.update(id, { ...change, operations: [operation] }).catch(() => {})
        }
        throw error
      }
    }),
  ),
  broken(
    'it ignores guards',
    'guards',
    'a change whose guard does not hold moves neither the revision nor the end of the session',
    updating((sound, id, change, answer) => sound.update(id, { ...change, guards: [] }, answer)),
  ),
  broken(
    'it ignores the revision that a change is for',
    'guards',
    'a change for one revision is applied at that one and refused at any other',
    updating((sound, id, { rev: _, ...change }, answer) => sound.update(id, change, answer)),
  ),
  broken(
    'it compares the revision before it changes',
    'guards',
    'of many changes for one revision at once, one is applied',
    updating(async (sound, id, { rev, ...change }, answer) => {
      const record = await livingRecord(sound, id)
      if (record && rev !== undefined && rev !== record.rev) return 'refused'
      await setImmediate()
      return sound.update(id, change, answer)
    }),
  ),
  broken('it asks the absolute limit', 'expiry', 'an absolute limit is kept as it was given', sound => ({
    load: async id => {
      const found = await livingRecord(sound, id)
      return found?.absolute && found.absolute.getTime() <= Date.now() ? undefined : sound.load(id)
    },
  })),
  broken(
    'it touches a session although the guard does not hold',
    'guards',
    'a change whose guard does not hold moves neither the revision nor the end of the session',
    updating(async (sound, id, change, answer) => {
      const outcome = await sound.update(id, change, answer)
      if (outcome === 'refused') await sound.update(id, { ...change, guards: [], operations: [] })
      return outcome
    }),
  ),
  broken(
    'it writes nothing where nothing changes',
    'changing',
    'every change moves the revision by one, even where it alters nothing',
    updating(async (sound, id, change, answer) => {
      const idle = change.operations.length === 0 && !change.expires && change.maxAge === undefined
      return idle && (await livingRecord(sound, id)) ? {} : sound.update(id, change, answer)
    }),
  ),
  broken(
    'it answers unasked',
    'answers',
    'nothing is given back where nothing is asked, not even the revision',
    updating((sound, id, change, answer) => sound.update(id, change, answer ?? { paths: [], when: 'after' })),
  ),
  broken(
    'it answers with what it made of the fields, whatever was asked',
    'answers',
    'an answer gives the fields as they were before the change: of a field that was there',
    updating((sound, id, change, answer) => sound.update(id, change, answer && { ...answer, when: 'after' })),
  ),
  broken(
    'it tells the revision that was, not the one it made',
    'answers',
    'an answer comes with the revision that its change made',
    updating(async (sound, id, change, answer) => {
      const outcome = await sound.update(id, change, answer)
      if (typeof outcome !== 'object' || outcome.rev === undefined) return outcome
      return { ...outcome, rev: outcome.rev - 1 }
    }),
  ),
  broken(
    'it reads all fields',
    'reading',
    'only the fields asked for are read, nested as they are stored',
    sound => ({
      read: async id => {
        const found = await sound.load(id)
        return found && !isEnded(found) ? { rev: found.rev, fields: found.fields } : found
      },
    }),
  ),
  broken("it tells errors in the driver's words", 'changing', refusal('inc of a string'), sound => ({
    update: async (id, change, answer) => {
      try {
        return await sound.update(id, change, answer)
      } catch (error) {
        const record = await livingRecord(sound, id)
        throw new CommandError(
          `Cannot apply to ${JSON.stringify(record?.fields)}`,
          (error as CommandError).path,
        )
      }
    },
  })),
  broken(
    'it pads arrays with nulls',
    'changing',
    'an array is never filled with nulls to reach an element: $set a.5',
    updating(async (sound, id, change, answer) => {
      try {
        return await sound.update(id, change, answer)
      } catch (error) {
        if (!String(error).includes('has no element')) throw error
        return sound.update(id, { ...change, operations: [] }, answer)
      }
    }),
  ),
  broken('it keeps JSON', 'values', "a value comes back as MongoDB's driver gives it: a date", sound => ({
    insert: record => sound.insert({ ...record, fields: JSON.parse(JSON.stringify(record.fields)) }),
  })),
  broken(
    'it forgets how large a session may be',
    'size',
    'a change that would make the session too large is refused and writes nothing',
    updating((sound, id, { maxSize: _, ...change }, answer) => sound.update(id, change, answer)),
  ),
  broken(
    'it makes an index once',
    'upkeep',
    'indexes may be prepared every time, by all at once, and leave the sessions alone',
    () => {
      let isThere = false
      return {
        ensureIndex: async () => {
          if (isThere) throw new Error('The index exists')
          isThere = true
        },
      }
    },
  ),
  broken(
    'it finds the ended and expired',
    'finding',
    'sessions that have ended or expired are not found',
    () => {
      const all: SessionRecord[] = []
      const forgetful = memoryStore()
      return {
        insert: async record => {
          await forgetful.insert(record)
          all.push(record)
        },
        find: async function* (path, value) {
          for (const record of all) if (record.fields[path] === value) yield record
        },
      }
    },
  ),
]
