import { inspect } from 'node:util'
import { afterApplied, answerFor } from './answers.ts'
import { defineCommands, type Performer } from './chain.ts'
import { assertToken, createToken } from './csrf.ts'
import { touchedPaths } from './fold.ts'
import type { PathLike } from './paths.ts'
import { valueAt } from './picture.ts'
import { type Regenerating, readFields, regenerate, sessionOf, touch } from './session.ts'
import type { LoadedSession, LoadOptions, SessionHandle } from './types.ts'
import { copied } from './values.ts'
import type { Visit } from './visit.ts'

/** The session that is not loaded yet: a function that loads it, with every command beside. */
export function handleOf<Data>(visit: Visit): SessionHandle<Data> {
  let session: LoadedSession<Data> | undefined
  const handle = (options?: LoadOptions) => {
    if (options?.extend === false) visit.doNotExtend()
    return visit.queue.watch(loaded())
  }
  const loaded = async () => {
    await visit.load()
    session ??= sessionOf<Data>(visit)
    return session
  }
  new Visiting(handle, visit)
  // An assignment would be lost.
  return Object.preventExtensions(Object.setPrototypeOf(handle, members))
}

class Given {
  constructor(object: object) {
    // biome-ignore lint/correctness/noConstructorReturn: so that a subclass gives its private field to this object
    return object
  }
}

/**
 * The visit of a handle, as a private field of that function: out of everybody's reach, as in a WeakMap, whose entries would
 * cost the garbage collector more than all else that a request does.
 */
class Visiting extends Given {
  readonly #visit: Visit

  constructor(handle: object, visit: Visit) {
    super(handle)
    this.#visit = visit
  }

  static visitOf(handle: object): Visit | undefined {
    return #visit in handle ? handle.#visit : undefined
  }
}

type Handle = () => Promise<unknown>

const members: Handle = Object.create(Function.prototype, {
  get: visiting((visit, _, ...paths: PathLike[]) => visit.queue.watch(readFields(visit, paths))),
  touch: visiting((visit, _, maxAge?: number | string) => visit.queue.watch(touch(visit, maxAge))),
  destroy: visiting(visit => visit.queue.watch(visit.destroy())),
  regenerate: visiting((visit, handle, options?: Regenerating) =>
    visit.queue.watch(regenerate(visit, options).then(handle)),
  ),
  createCSRF: visiting(visit => createToken(visit.tokenKey())),
  assertCSRF: visiting((visit, _, token: unknown) => assertToken(visit.tokenKeys, token)),
  [inspect.custom]: { value: () => '[Function: session]' },
})

defineCommands(members, handle => performerFor(visitOf(handle)))

/** Chains of the handle resolve to the fields touched, to what was taken, or to `null` where a guard did not hold. */
function performerFor(visit: Visit): Performer {
  return {
    queue: visit.queue,
    perform: async (change, taken, asked) => {
      const outcome = await visit.apply(change, answerFor(change, taken, asked))
      if (outcome === null) return { value: null }
      const { fields } = outcome
      return fields && { value: copied(taken ? valueAt(fields, taken) : fields) }
    },
    afterwards: async change =>
      copied((await visit.excerpt(touchedPaths(change.operations)).catch(afterApplied)) ?? {}),
  }
}

function visitOf(handle: Handle): Visit {
  const visit = Visiting.visitOf(handle)
  if (!visit) throw new TypeError('Call the commands on ctx.session itself: ctx.session.set(…)')
  return visit
}

function visiting<A extends unknown[], R>(
  act: (visit: Visit, handle: Handle, ...args: A) => R,
): PropertyDescriptor {
  return {
    value(this: Handle, ...args: A): R {
      return act(visitOf(this), this, ...args)
    },
  }
}
