import type * as everything from '../../src/index.ts'
import {
  type AnySessionError,
  type FieldError,
  SessionError,
  type StoreUnavailableError,
} from '../../src/index.ts'
import { is } from './shop.ts'

/** A `switch` over the codes is exhaustive, and each narrows to its class. */
export function answer(error: AnySessionError): string {
  switch (error.code) {
    case 'SESSION_ENDED':
      return 'sign in again'
    case 'SESSION_CSRF':
      return error.reason
    case 'SESSION_FIELD':
      is<FieldError>()(error)
      return error.path ?? error.message
    case 'SESSION_COMMAND':
      return error.path ?? ''
    case 'SESSION_STORE_UNAVAILABLE':
      is<StoreUnavailableError>()(error)
      return error.outcome
    case 'SESSION_TOO_LARGE':
    case 'SESSION_HEADERS_SENT':
    case 'SESSION_CONFIGURATION':
    case 'SESSION_LEASE_LOST':
      return error.message
  }
}

export function ofAnything(error: unknown): string | undefined {
  return error instanceof SessionError ? answer(error as AnySessionError) : undefined
}

/** All that the module has. */
type Classes = (typeof everything)[keyof typeof everything]
type Instance = Classes extends infer C ? (C extends new (...args: never) => infer E ? E : never) : never
type Thrown = Extract<Instance, SessionError>

is<AnySessionError>()(undefined as unknown as Thrown)
