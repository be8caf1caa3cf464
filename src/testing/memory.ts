import { milliseconds } from '../duration.ts'
import { isEnded, type SessionRecord, type Tombstone } from '../store/record.ts'
import type { Store } from '../store/store.ts'
import { type MemoryStoreOptions, memoryStore as storeInMemory } from '../stores/memory.ts'

/** A memory store whose clock a test moves. */
export interface TestStore extends Store, AsyncDisposable {
  /**
   * Lets time pass for the stored sessions: milliseconds, or words such as `'1 hour'`. Their `created` and `expires` move that much
   * into the past. Nothing waits, and `Date` does not change, so other tests are not affected.
   *
   * A visitor's cookie does not age. So a session that is used afterwards is not extended, even after `touchAfter`. To test that,
   * move `Date` with fake timers: this store follows them.
   *
   * @throws {ConfigurationError} if it is not a positive duration.
   */
  advance(duration: number | string): void
}

/**
 * A memory store for a test that lets time pass. It takes the options of `memoryStore` of `koa-atomic-session/memory`.
 *
 *     store.advance('14 days')
 *
 * @throws {ConfigurationError} if the package `bson` is not installed.
 */
export function memoryStore(options: MemoryStoreOptions = {}): TestStore {
  // Checks the options.
  storeInMemory(options)
  const { clock = () => Date.now() } = options
  let passed = 0
  const store = storeInMemory({ clock: () => clock() + passed })
  // The inner store's clock is ahead of `Date`. Dates passed to it move forward, and dates from it move back.
  const into = (date: Date) => new Date(date.getTime() + passed)
  const back = (date: Date) => new Date(date.getTime() - passed)
  const moved = (record: SessionRecord, move: (date: Date) => Date): SessionRecord => ({
    ...record,
    created: move(record.created),
    expires: move(record.expires),
    ...(record.absolute && { absolute: move(record.absolute) }),
  })
  const tombstoneMoved = (tombstone: Tombstone, move: (date: Date) => Date): Tombstone => ({
    ...tombstone,
    ended: move(tombstone.ended),
  })
  return {
    insert: record => store.insert(moved(record, into)),
    async load(id) {
      const found = await store.load(id)
      if (!found) return undefined
      return isEnded(found) ? tombstoneMoved(found, back) : moved(found, back)
    },
    async read(id, paths) {
      const found = await store.read(id, paths)
      return found && isEnded(found) ? tombstoneMoved(found, back) : found
    },
    update: (id, change, answer) =>
      store.update(id, change.expires ? { ...change, expires: into(change.expires) } : change, answer),
    end: (id, tombstone, until, rev) => store.end(id, tombstoneMoved(tombstone, into), into(until), rev),
    delete: id => store.delete(id),
    async *find(path, value) {
      for await (const record of store.find?.(path, value) ?? []) yield moved(record, back)
    },
    count: async () => (await store.count?.()) ?? 0,
    sweep: async () => (await store.sweep?.()) ?? 0,
    advance(duration) {
      passed += milliseconds('duration', duration)
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  }
}
