import { ConfigurationError, FieldError } from '../errors.ts'
import type { SessionId } from '../ids.ts'
import { idFrom } from '../ids.ts'
import { namedOptions } from '../language/calloptions.ts'
import type { Path } from '../language/paths.ts'
import { literal } from '../language/values.ts'
import type { DefaultData, SessionFields } from '../session/types.ts'

/** A session as `find` found it. It does not change when the stored session does. */
export interface FoundSession<Data = DefaultData> {
  /** What `end`, `open` and `except` take. */
  readonly id: SessionId
  readonly created: Date
  readonly expires: Date
  readonly fields: SessionFields<Data>
}

export interface EndAllOptions {
  /** The session that is not ended, or its id. */
  readonly except?: SessionId | { readonly id: SessionId | undefined } | undefined
}

/** The path and the value by which a user's sessions are found. */
export function byUser(path: Path | undefined, user: unknown): [Path, unknown] {
  if (path === undefined) {
    throw new ConfigurationError(
      "find() and endAll() need the option user: the field that names a session's user",
    )
  }
  // An absent field equals null: every visitor who is not signed in would match.
  if (user === null || user === undefined) throw new FieldError('null and undefined are no user', path)
  return [path, literal(user, path)]
}

export function exceptIn(options: unknown): SessionId | undefined {
  const { except } = namedOptions('endAll', options, ['except'])
  return except === undefined ? undefined : idFrom(except)
}
