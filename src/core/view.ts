import { FieldError } from './errors.ts'
import { isVisibleKey, quote } from './paths.ts'
import { type Fields, isContainer } from './values.ts'

const views = new WeakMap<object, object>()

/** A read-only view of stored data. What it holds is never changed, so one view serves for as long as the data does. */
export function viewOf(value: unknown, path: string): unknown {
  // A date cannot be viewed through a proxy, and must not be changed: each reader gets one of their own.
  if (value instanceof Date) return new Date(value)
  if (!isContainer(value)) return value
  const known = views.get(value)
  if (known) return known
  const view = new Proxy(value, new Viewing(path))
  views.set(value, view)
  return view
}

/** Says which command does what was tried: an assignment would be lost, since only commands reach the store. */
export function notAssignable(path: string, removing = false): FieldError {
  const command = removing ? `unset(${quote(path)})` : `set(${quote(path)}, …)`
  return new FieldError(
    `A session's fields are read-only: use session.${command} or another command for ${quote(path)}`,
    path,
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

  set(_target: object, key: string | symbol): never {
    throw notAssignable(`${this.#path}.${String(key)}`)
  }

  defineProperty(_target: object, key: string | symbol): never {
    throw notAssignable(`${this.#path}.${String(key)}`)
  }

  deleteProperty(_target: object, key: string | symbol): never {
    throw notAssignable(`${this.#path}.${String(key)}`, true)
  }

  setPrototypeOf(): never {
    throw notAssignable(this.#path)
  }

  preventExtensions(): never {
    throw notAssignable(this.#path)
  }
}

/** `constructor` stays: arrays make copies of themselves through it. */
function isShown(key: string | symbol): boolean {
  return typeof key === 'symbol' || key === 'constructor' || isVisibleKey(key)
}
