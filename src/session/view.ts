import { FieldError } from '../errors.ts'
import { isFieldName, isVisibleKey, type PathLike, pathOf, quote } from '../language/paths.ts'
import { copied, type Fields, isContainer, ownCopy } from '../language/values.ts'

const views = new WeakMap<object, object>()

/** A read-only view of stored data. The data is never changed, so there is one view of it for as long as it is held. */
export function viewOf(value: unknown, path: string): unknown {
  // A date or bytes cannot be viewed through a proxy, and must not be changed: each reader gets a copy.
  if (!isContainer(value)) return ownCopy(value)
  const known = views.get(value)
  if (known) return known
  const view = new Proxy(value, new Viewing(path))
  views.set(value, view)
  return view
}

/** Stored fields as plain data that is the caller's own. */
export function plain(fields: Fields): Fields {
  return copied(Object.fromEntries(Object.entries(fields).filter(([name]) => isFieldName(name))))
}

/** What to do in place of assigning a member of the session. */
const ways = new Map<string, (session: string) => string>([
  ['maxAge', session => `${session}.touch(maxAge) gives the session another lifetime`],
  ['expires', session => `${session}.touch() moves it`],
  ['id', session => `${session}.regenerate() gives the session a new one`],
  ['created', () => 'it tells when the session was first stored'],
  ['isNew', () => 'it tells whether nothing is stored yet'],
])

/** The same for any name; `undefined` if it is the name of no member. `session` is what the app calls it. */
export function wayOfMember(session: string, name: string): string | undefined {
  if (isFieldName(name) || !isVisibleKey(name) || name.startsWith('_')) return undefined
  return ways.get(name)?.(session) ?? 'it is a member of every session, so no field can have its name'
}

/**
 * Says what to do in place of what was tried: an assignment would be lost, since only commands reach the store. `above` is the path
 * of the object that would have had the key; the session itself without it.
 */
export function notAssignable(key: string | symbol, removing = false, above?: string): FieldError {
  if (typeof key === 'symbol')
    return new FieldError('A session has no symbols: fields have names', String(key))
  const way = above === undefined ? wayOfMember('session', key) : undefined
  if (way) return new FieldError(`session.${key} is read-only: ${way}`, key)
  const path = above === undefined ? key : `${above}.${key}`
  if (key.includes('.')) return new FieldError(dotIn(key), path)
  return readOnly(path, removing)
}

function readOnly(path: string, removing = false): FieldError {
  const fault = faultOfPath(path)
  if (fault) return fault
  const command = removing ? `unset(${quote(path)})` : `set(${quote(path)}, …)`
  return new FieldError(
    `A session's fields are read-only: use session.${command} or another command for ${quote(path)}`,
    path,
  )
}

/** A command would take the key for a path, and write somewhere else. */
export function dotIn(key: string): string {
  return `No key may hold a dot, and ${quote(key)} does: it would be the path of a field inside another`
}

/** What is wrong with a path that no command would take either. */
export function faultOfPath(path: PathLike): FieldError | undefined {
  try {
    pathOf(path)
    return undefined
  } catch (fault) {
    return fault as FieldError
  }
}

/** No command sets an array's length, or an element where there is none. */
function notResizable(list: string, key: string): FieldError {
  return new FieldError(
    `A session's fields are read-only: use session.push(${quote(list)}, …), pop or pull, or session.set(${quote(list)}, …) ` +
      'with a whole array',
    `${list}.${key}`,
  )
}

class Viewing implements ProxyHandler<object> {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  get(target: object, key: string | symbol): unknown {
    if (typeof key === 'symbol' || !Object.hasOwn(target, key))
      return isShown(key) ? Reflect.get(target, key) : undefined
    return isVisibleKey(key) ? viewOf((target as Fields)[key], `${this.#path}.${key}`) : undefined
  }

  has(target: object, key: string | symbol): boolean {
    return isShown(key) && Reflect.has(target, key)
  }

  ownKeys(target: object): (string | symbol)[] {
    return Reflect.ownKeys(target).filter(isShown)
  }

  getOwnPropertyDescriptor(target: object, key: string | symbol): PropertyDescriptor | undefined {
    const descriptor = Reflect.getOwnPropertyDescriptor(target, key)
    if (!descriptor || !isShown(key)) return undefined
    return typeof key === 'symbol' || !descriptor.configurable
      ? descriptor
      : { ...descriptor, value: this.get(target, key) }
  }

  set(target: object, key: string | symbol): never {
    throw this.#refusal(target, key)
  }

  defineProperty(target: object, key: string | symbol): never {
    throw this.#refusal(target, key)
  }

  deleteProperty(_target: object, key: string | symbol): never {
    throw notAssignable(key, true, this.#path)
  }

  setPrototypeOf(): never {
    throw readOnly(this.#path)
  }

  preventExtensions(): never {
    throw readOnly(this.#path)
  }

  #refusal(target: object, key: string | symbol): FieldError {
    const isThere = Object.hasOwn(target, key) && key !== 'length'
    return Array.isArray(target) && !isThere && typeof key === 'string'
      ? notResizable(this.#path, key)
      : notAssignable(key, false, this.#path)
  }
}

/** `constructor` stays: arrays make copies of themselves through it. */
function isShown(key: string | symbol): boolean {
  return typeof key === 'symbol' || key === 'constructor' || isVisibleKey(key)
}
