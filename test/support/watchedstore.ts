import { type TestContext, test } from 'node:test'
import type { SessionId } from '../../src/ids.ts'
import { mongoStore } from '../../src/index.ts'
import type { SessionRecord } from '../../src/store/record.ts'
import type { Store } from '../../src/store/store.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { aCollection, withoutMongoDB } from './mongodb/collection.ts'
import { aStore } from './sqlite/files.ts'

/** A store that tells what it is asked, and what it holds. */
export interface Watched {
  readonly store: Store
  /** The names of the methods called so far, in order. */
  readonly calls: string[]
  /** The sessions it holds, those ended or expired left out, in the order they were stored. */
  records(): Promise<SessionRecord[]>
  /** Lets all sessions be over, by writing the past. */
  expire(): Promise<void>
}

export function watched(target: Store): Watched {
  const calls: string[] = []
  const ids = new Set<SessionId>()
  const store = altered(target, (name, args) => {
    calls.push(name)
    if (name === 'insert') ids.add((args[0] as SessionRecord).id)
  })
  return {
    store,
    calls,
    async records() {
      const found = await Promise.all([...ids].map(id => target.load(id)))
      return found.flatMap(record => (record && !('ended' in record) ? record : []))
    },
    async expire() {
      const past = { guards: [], operations: [], expires: new Date(Date.now() - 1000), maxAge: 1000 }
      for (const id of ids) await target.update(id, past)
    },
  }
}

/** `target`, each call of which goes through `before` first; it is made once that has resolved, unless it rejects. */
export function altered(
  target: Store,
  before: (name: string, args: readonly unknown[]) => void | Promise<void>,
): Store {
  return new Proxy(target, {
    get(_, name) {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function' || typeof name !== 'string') return member
      // It tells the store something, and asks it nothing.
      if (name === 'useTimeout') return member.bind(target)
      if (name === 'find') {
        return async function* (...args: unknown[]) {
          await before(name, args)
          yield* member.apply(target, args)
        }
      }
      return async (...args: unknown[]) => {
        const waiting = before(name, args)
        if (waiting) await waiting
        return member.apply(target, args)
      }
    },
  })
}

/** A test over each store that the package has. */
export function onEachStore(title: string, run: (t: TestContext, watched: Watched) => Promise<void>): void {
  test(`${title} (memory)`, t => run(t, watched(memoryStore())))
  test(`${title} (MongoDB)`, { skip: withoutMongoDB }, t =>
    run(t, watched(mongoStore({ collection: aCollection(t) }))),
  )
  test(`${title} (SQLite)`, t => run(t, watched(aStore(t))))
}
