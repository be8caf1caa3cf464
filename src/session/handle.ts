import { ConfigurationError, FieldError } from '../errors.ts'
import { callOptions, refuseIgnored } from '../language/calloptions.ts'
import { describe, type PathLike } from '../language/paths.ts'
import { failedRead, performerFor } from './answers.ts'
import { defineCommands } from './chain.ts'
import { once } from './once.ts'
import { destroy, readFields, regenerate, sessionOf, touch } from './session.ts'
import { assertToken, createToken } from './tokens.ts'
import type { Lifecycle, SessionHandle, Tokens, Untyped } from './types.ts'
import { isAskedOfAnything, notKept, notListed, notLoaded } from './unloaded.ts'
import type { Visit } from './visit.ts'

/** The session that is not loaded yet: a function that loads it, with every command. `name`: what messages call it. */
export function handleOf<Data>(visit: Visit, name: string): SessionHandle<Data> {
  return new Proxy(session, new Handle(visit, name)) as unknown as SessionHandle<Data>
}

/** The target of the proxy, so that a handle is a function. It is never called. */
const session = () => {}

/**
 * A handle has its members, and the properties that are read of any value. Any other property throws, since it was meant to be
 * a field. (A proxy and this object cost a request less than a function with a prototype and a private field would; each call
 * of a command costs a little more.)
 */
class Handle implements ProxyHandler<typeof session> {
  readonly #visit: Visit
  readonly #name: string
  #session: unknown

  constructor(visit: Visit, name: string) {
    this.#visit = visit
    this.#name = name
  }

  apply(_target: unknown, _self: unknown, args: readonly unknown[]): Promise<unknown> {
    refuseIgnored(this.#name, args, 0, 1)
    return this.#visit.queue.watch(this.#loaded(args[0]))
  }

  async #loaded(options: unknown): Promise<unknown> {
    const { extend = true } = callOptions(this.#name, options, ['extend'])
    if (typeof extend !== 'boolean') {
      throw new ConfigurationError(`${this.#name}({ extend }) takes true or false, not ${describe(extend)}`)
    }
    if (!extend) this.#visit.doNotExtend()
    await this.#visit.load()
    this.#session ??= sessionOf(this.#visit)
    return this.#session
  }

  get(target: object, key: string | symbol): unknown {
    if (key === itsVisit) {
      visitAsked = this.#visit
      return undefined
    }
    const member = members[key as string]
    if (member) return member
    if (typeof key === 'symbol') return Reflect.get(target, key)
    this.#assertAskedOfAnything(key)
    return Reflect.get(Object.prototype, key)
  }

  has(target: object, key: string | symbol): boolean {
    if (typeof key === 'symbol') return key in target
    if (key in members) return true
    this.#assertAskedOfAnything(key)
    return key in Object.prototype
  }

  getOwnPropertyDescriptor(target: object, key: string | symbol): PropertyDescriptor | undefined {
    if (typeof key === 'symbol') return Reflect.getOwnPropertyDescriptor(target, key)
    if (!(key in members)) this.#assertAskedOfAnything(key)
    return undefined
  }

  ownKeys(): never {
    throw notListed(this.#name)
  }

  set(_target: object, key: string | symbol): never {
    throw notKept(this.#name, key)
  }

  defineProperty(_target: object, key: string | symbol): never {
    throw notKept(this.#name, key)
  }

  deleteProperty(_target: object, key: string | symbol): never {
    throw notKept(this.#name, key, true)
  }

  setPrototypeOf(): never {
    throw new FieldError(`The prototype of ${this.#name} cannot be changed`)
  }

  preventExtensions(): never {
    throw new FieldError(`${this.#name} is read-only as it is: it cannot be frozen`)
  }

  #assertAskedOfAnything(name: string): void {
    if (!isAskedOfAnything(name)) throw notLoaded(this.#name, name, Object.getOwnPropertyNames(members))
  }
}

const itsVisit = Symbol('visit')
let visitAsked: Visit | undefined

/** The visit of a handle. The handle leaves it in this module and returns it to nobody, since it leads to the cookie's secret. */
function visitOf(self: Asked, member: string): Visit {
  visitAsked = undefined
  if (typeof self === 'function') void self[itsVisit]
  const visit = visitAsked as Visit | undefined
  visitAsked = undefined
  if (!visit) {
    throw new TypeError(`Call the commands on ctx.session itself: ctx.session.${member}(…)`)
  }
  return visit
}

/** What a member is called on: a handle, unless the member was taken off it. */
type Asked = SessionHandle<Untyped> & { readonly [itsVisit]?: undefined }

type Member = (this: Asked, ...args: never[]) => unknown

const members: Record<string, Member> = Object.assign(Object.create(null), {
  get: asking('get', Number.POSITIVE_INFINITY, (visit, _, ...paths: PathLike[]) => readFields(visit, paths)),
  touch: asking('touch', 1, (visit, _, maxAge?: number | string) => touch(visit, maxAge)),
  destroy: asking('destroy', 1, (visit, _, options?: unknown) => destroy(visit, options)),
  regenerate: asking('regenerate', 1, (visit, handle, options?: unknown) =>
    regenerate(visit, options).then(() => handle().catch(error => failedRead(error) ?? handle())),
  ),
  once(this: Asked, ...args: unknown[]): Promise<unknown> {
    const visit = visitOf(this, 'once')
    return visit.queue.watch(once(visit, args))
  },
  createCSRF(this: Asked) {
    return createToken(visitOf(this, 'createCSRF').tokenKey())
  },
  assertCSRF(this: Asked, token: unknown) {
    assertToken(visitOf(this, 'assertCSRF').tokenKeys, token)
  },
} satisfies Record<string, Member> & Lifecycle<Untyped, void> & Tokens)

defineCommands(members, (handle, name) => performerFor(visitOf(handle as unknown as Asked, name)))

function asking<A extends unknown[], R>(
  name: string,
  most: number,
  act: (visit: Visit, handle: Asked, ...args: A) => Promise<R>,
) {
  return function (this: Asked, ...args: A): Promise<R> {
    const visit = visitOf(this, name)
    refuseIgnored(name, args, 0, most)
    return visit.queue.watch(act(visit, this, ...args))
  }
}
