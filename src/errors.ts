/** The base class of this library's errors. Tell them apart by `code`: a message may change in any release. */
export abstract class SessionError extends Error {
  /** Stable across releases. */
  abstract readonly code: `SESSION_${string}`
  /** The HTTP status Koa answers with. */
  abstract readonly status: number
  /** Response headers, which Koa sends with the error. */
  headers?: Record<string, string | string[]>

  /** Whether the visitor may read the message: Koa shows it only then. */
  get expose(): boolean {
    return this.status < 500
  }
}

/**
 * An option of `Session` or of a method, or the setup of the app, cannot work. Thrown at start, or when the wrong or missing part
 * is first used.
 */
export class ConfigurationError extends SessionError {
  override readonly name = 'ConfigurationError'
  readonly code = 'SESSION_CONFIGURATION'
  readonly status = 500
}

/**
 * A path or a value that a session cannot hold, a field that was read before the session was loaded, an assignment to a field, or
 * a value that is not a session's id. It was refused before anything was sent to the store.
 */
export class FieldError extends SessionError {
  override readonly name = 'FieldError'
  readonly code = 'SESSION_FIELD'
  /** 400 for a wrong session id, since ids come from forms and URLs. 500 otherwise, as it is a mistake in the program. */
  readonly status: 400 | 500
  /** The path as it was given, or the part that could be read; `undefined` if none was given. */
  readonly path: string | undefined

  constructor(message: string, path?: string, status: 400 | 500 = 500) {
    super(message)
    this.path = path
    this.status = status
  }
}

/** The store refused the change, as MongoDB refuses `$inc` of a string. The stored session is untouched. */
export class CommandError extends SessionError {
  override readonly name = 'CommandError'
  readonly code = 'SESSION_COMMAND'
  readonly status = 500
  /** The path of the refused operation, if the store reports it. */
  readonly path: string | undefined

  constructor(message: string, path?: string, options?: ErrorOptions) {
    super(message, options)
    this.path = path
  }
}

/** The session was destroyed, regenerated or expired before this change reached it; nothing was written. */
export class SessionEndedError extends SessionError {
  override readonly name = 'SessionEndedError'
  readonly code = 'SESSION_ENDED'
  readonly status = 401

  constructor(message = 'The session has ended; sign in again', options?: ErrorOptions) {
    super(message, options)
  }
}

/** Another site sent the request, or its CSRF token is missing or was not made for this session. */
export class InvalidCSRFTokenError extends SessionError {
  override readonly name = 'InvalidCSRFTokenError'
  readonly code = 'SESSION_CSRF'
  readonly status = 403
  /**
   * Which check failed. It is for the developer; the message for the visitor does not contain it. `'cross-site'`:
   * `Sec-Fetch-Site`. `'origin'`: `Origin`, which an older browser sent alone. `'token'`: neither header was sent, and there was no
   * valid token. `cause` says what was compared, and what to do.
   */
  readonly reason: 'cross-site' | 'origin' | 'token'

  constructor(
    message = 'Invalid CSRF token',
    reason: InvalidCSRFTokenError['reason'] = 'token',
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.reason = reason
  }
}

/** The change would have made the session larger than it may be; the stored session is untouched. */
export class SessionTooLargeError extends SessionError {
  override readonly name = 'SessionTooLargeError'
  readonly code = 'SESSION_TOO_LARGE'
  readonly status = 413

  constructor(message = 'The session would become too large', options?: ErrorOptions) {
    super(message, options)
  }
}

/** The change needs a cookie, and the response's headers have already been sent; nothing was stored. */
export class HeadersSentError extends SessionError {
  override readonly name = 'HeadersSentError'
  readonly code = 'SESSION_HEADERS_SENT'
  readonly status = 500
}

/** The store is down, slow, or did not confirm a change. */
export class StoreUnavailableError extends SessionError {
  override readonly name = 'StoreUnavailableError'
  readonly code = 'SESSION_STORE_UNAVAILABLE'
  readonly status = 503
  /** `'none'`: nothing was written. `'unknown'`: the change may or may not have been applied. */
  readonly outcome: 'none' | 'unknown'
  override headers: Record<string, string | string[]> = { 'Retry-After': '5' }

  constructor(message: string, outcome: 'none' | 'unknown', options?: ErrorOptions) {
    super(message, options)
    this.outcome = outcome
  }
}

/**
 * The lease of `once` ended before `produce` was done, and another request took over. The result was not written; `value` is the
 * field's stored value.
 */
export class LeaseLostError extends SessionError {
  override readonly name = 'LeaseLostError'
  readonly code = 'SESSION_LEASE_LOST'
  readonly status = 409
  /** The stored value, or `undefined`. It is not enumerable, so that logs do not show it. */
  declare readonly value: unknown

  constructor(path: string, value: unknown, options?: ErrorOptions) {
    super(`The lease for ${JSON.stringify(path)} ended, and another request has taken it`, options)
    Object.defineProperty(this, 'value', { value, enumerable: false })
  }
}

/** Another record, perhaps an ended one, holds the id. A store's `insert` rejects with it; it never reaches the app. */
export class IdTakenError extends Error {
  override readonly name = 'IdTakenError'
}

/** The union of all `SessionError` classes: with it, a `switch` over `code` narrows the type. */
export type AnySessionError =
  | CommandError
  | ConfigurationError
  | FieldError
  | HeadersSentError
  | InvalidCSRFTokenError
  | LeaseLostError
  | SessionEndedError
  | SessionTooLargeError
  | StoreUnavailableError
