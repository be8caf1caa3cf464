import { inspect } from 'node:util'
import { milliseconds } from '../duration.ts'
import { FieldError } from '../errors.ts'
import { callOptions, refuseCallback, refuseIgnored } from '../language/calloptions.ts'
import type { CommandName } from '../language/commands.ts'
import { valueAt } from '../language/excerpt.ts'
import { isFieldName, type PathLike, pathsOf } from '../language/paths.ts'
import { copied } from '../language/values.ts'
import { failedRead, performerFor } from './answers.ts'
import { defineCommands, type Performer } from './chain.ts'
import { once } from './once.ts'
import { regenerationOf } from './regeneration.ts'
import { assertToken, createToken } from './tokens.ts'
import type { LoadedSession, SessionMembers, Untyped } from './types.ts'
import { notAssignable, plain, viewOf } from './view.ts'
import type { Visit } from './visit.ts'

type Shown = LoadedSession<Untyped>

/** Commands are defined below, and the types of `get` and `once` follow from the paths they are given. */
type Members = Omit<SessionMembers<Untyped>, CommandName | 'get' | 'once'>

/** A loaded session's own members. The app holds a proxy of it, which shows the picture's fields as its properties. */
class Session implements Members {
  readonly #visit: Visit
  readonly #performer: Performer
  readonly #shown: Shown

  private constructor(visit: Visit) {
    this.#visit = visit
    this.#shown = new Proxy<object>(this, showing) as Shown
    this.#performer = performerFor(visit, this.#shown)
  }

  /** The session as the app sees it. */
  static shown(visit: Visit): Shown {
    return new Session(visit).#shown
  }

  static visitOf(session: Session): Visit {
    return session.#visit
  }

  static performerOf(session: Session): Performer {
    return session.#performer
  }

  get id(): string | undefined {
    return this.#visit.id
  }

  get isNew(): boolean {
    return this.#visit.id === undefined
  }

  get created(): Date {
    return new Date(this.#visit.picture.created)
  }

  get expires(): Date {
    return new Date(this.#visit.picture.expires)
  }

  get maxAge(): number {
    return this.#visit.picture.maxAge
  }

  get(...paths: PathLike[]): Promise<unknown> {
    refuseCallback('get', paths)
    return this.#visit.queue.watch(readFields(this.#visit, paths))
  }

  once(...args: unknown[]): Promise<unknown> {
    const value = once(this.#visit, args)
    // The value is there. If the picture cannot be read now, its next use reads it.
    const refreshed = value.then(() => this.#visit.load().catch(() => {}))
    return this.#visit.queue.watch(refreshed.then(() => value))
  }

  update(...result: unknown[]): Promise<Shown> {
    refuseCallback('update', result)
    if (result.length > 0) return Promise.resolve(this.#shown)
    return this.#visit.queue.watch(this.#visit.load(true).then(() => this.#shown))
  }

  touch(...args: [maxAge?: number | string]): Promise<Shown> {
    refuseIgnored('touch', args, 0, 1)
    return this.#refreshedBy(touch(this.#visit, args[0]))
  }

  destroy(...args: unknown[]): Promise<void> {
    refuseIgnored('destroy', args, 0, 1)
    return this.#visit.queue.watch(destroy(this.#visit, args[0]))
  }

  regenerate(...args: unknown[]): Promise<Shown> {
    refuseIgnored('regenerate', args, 0, 1)
    return this.#refreshedBy(regenerate(this.#visit, args[0]))
  }

  #refreshedBy(act: Promise<void>): Promise<Shown> {
    return this.#visit.queue.watch(
      act.then(() => this.#visit.load().catch(failedRead)).then(() => this.#shown),
    )
  }

  createCSRF(): string {
    return createToken(this.#visit.tokenKey())
  }

  assertCSRF(token: unknown): void {
    assertToken(this.#visit.tokenKeys, token)
  }

  toJSON(): Record<string, unknown> {
    return plain(this.#visit.picture.fields)
  }

  /** Fields only. The cookie's secret, and what leads to it, is not shown. */
  [inspect.custom](_depth: number, options: object): string {
    return `Session ${inspect({ ...this }, options)}`
  }
}

defineCommands(Session.prototype, Session.performerOf)

/** The proxy's own properties are exactly the fields. Members come from the session and are bound to it. */
const showing: ProxyHandler<Session> = {
  get(session, key) {
    if (isField(session, key)) return viewOf(fieldsOf(session)[key], key)
    const member: unknown = Reflect.get(session, key)
    return typeof member === 'function' && Object.hasOwn(Session.prototype, key)
      ? member.bind(session)
      : member
  },
  has(session, key) {
    return isField(session, key) || Reflect.has(session, key)
  },
  ownKeys(session) {
    return Object.keys(fieldsOf(session)).filter(isFieldName)
  },
  getOwnPropertyDescriptor(session, key) {
    if (!isField(session, key)) return undefined
    return {
      value: viewOf(fieldsOf(session)[key], key),
      enumerable: true,
      configurable: true,
      writable: false,
    }
  },
  set(_session, key) {
    throw notAssignable(key)
  },
  defineProperty(_session, key) {
    throw notAssignable(key)
  },
  deleteProperty(_session, key) {
    throw notAssignable(key, true)
  },
  setPrototypeOf() {
    throw new FieldError("A session's prototype cannot be changed")
  },
  preventExtensions() {
    throw new FieldError(
      'A session is read-only as it is, and its fields change with each command: it cannot be frozen',
    )
  },
}

function fieldsOf(session: Session) {
  return Session.visitOf(session).picture.fields
}

function isField(session: Session, key: string | symbol): key is string {
  return typeof key === 'string' && Object.hasOwn(fieldsOf(session), key) && isFieldName(key)
}

/** The session of a visit that has been loaded. */
export function sessionOf<Data>(visit: Visit): LoadedSession<Data> {
  return Session.shown(visit) as unknown as LoadedSession<Data>
}

/** One value for one path, a list of them for several. */
export async function readFields(visit: Visit, given: readonly PathLike[]): Promise<unknown> {
  if (given.length === 0) throw new FieldError('get() needs a path')
  const paths = pathsOf('get()', given)
  const fields = await visit.excerpt(paths)
  // Each path once: a large value may have been named many times.
  const values = new Map([...new Set(paths)].map(path => [path, copied(valueAt(fields, path))]))
  const found = paths.map(path => values.get(path))
  return found.length === 1 ? found[0] : found
}

export async function touch(visit: Visit, maxAge: number | string | undefined): Promise<void> {
  await visit.touch(maxAge === undefined ? undefined : milliseconds('maxAge', maxAge))
}

export async function destroy(visit: Visit, options: unknown): Promise<void> {
  callOptions('destroy', options, [])
  await visit.destroy()
}

export async function regenerate(visit: Visit, options: unknown): Promise<void> {
  await visit.regenerate(regenerationOf(options))
}
