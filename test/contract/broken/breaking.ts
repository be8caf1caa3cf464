import type { SessionId } from '../../../src/ids.ts'
import type { Change } from '../../../src/language/change.ts'
import { applied } from '../../../src/language/operators.ts'
import { type JoinableStore, joined } from '../../../src/store/joining.ts'
import { isEnded, type SessionRecord } from '../../../src/store/record.ts'
import type { Answer, Outcome, Store } from '../../../src/store/store.ts'
import { memoryStore } from '../../../src/stores/memory.ts'
import { inAnHour } from '../../../src/testing/contract/records.ts'
import type { StorePromise } from '../../../src/testing/index.ts'
import { joinable } from '../../support/joinable.ts'

export interface BrokenStore {
  /** What is wrong with it. */
  readonly fault: string
  /** The part of the contract that it does not keep. */
  readonly promise: StorePromise
  /** The test that has to fail, or how its title begins; others may. */
  readonly caughtBy: string
  /** Makes data, and gives what opens a store over it: each process has one. */
  readonly prepare: () => () => Store
}

/** A store in memory of which some methods are other ones. */
export function broken(
  fault: string,
  promise: BrokenStore['promise'],
  caughtBy: string,
  other: (sound: Store) => Partial<Store>,
): BrokenStore {
  const prepare = () => {
    const database = memoryStore()
    return () => altered(database, other)
  }
  return { fault, promise, caughtBy, prepare }
}

/** What opens the one store that all processes have. */
export function over(store: Store): () => Store {
  return () => store
}

function altered(sound: Store, other: (sound: Store) => Partial<Store>): Store {
  const bound: Store = {
    insert: record => sound.insert(record),
    load: id => sound.load(id),
    read: (id, paths) => sound.read(id, paths),
    update: (id, change, answer) => sound.update(id, change, answer),
    end: (id, tombstone, until, rev) => sound.end(id, tombstone, until, rev),
    delete: id => sound.delete(id),
  }
  return { ...bound, ...other(sound) }
}

export function updating(
  update: (sound: Store, id: SessionId, change: Change, answer?: Answer) => Promise<Outcome>,
): (sound: Store) => Partial<Store> {
  return sound => ({ update: (id, change, answer) => update(sound, id, change, answer) })
}

export function joinedWith(
  other: (sound: Store) => Partial<JoinableStore>,
): (sound: Store) => Partial<Store> {
  return sound => joined({ ...joinable(sound), ...other(sound) })
}

export function born(id: SessionId, change: Change): SessionRecord {
  const { expires = inAnHour(), maxAge = 1000 } = change
  return { id, created: new Date(), expires, maxAge, rev: 1, fields: applied({}, change.operations) }
}

export async function livingRecord(store: Store, id: SessionId): Promise<SessionRecord | undefined> {
  const found = await store.load(id)
  return found && !isEnded(found) ? found : undefined
}

/** The title of the contract's test of such a refusal. */
export function refusal(what: string): string {
  return `what MongoDB refuses is refused, and the path named: ${what}`
}

/** The title of the contract's test of such a command. */
export function result(what: string): string {
  return `a command has MongoDB's result: ${what}`
}

/** The title of the contract's test of such a guard, or how it begins. */
export function decision(what: string): string {
  return `a change is applied exactly if its guard holds: ${what}`
}
