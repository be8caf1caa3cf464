import type { Change } from '../language/change.ts'
import { graftedAll } from '../language/excerpt.ts'
import type { Path } from '../language/paths.ts'
import type { Fields } from '../language/values.ts'
import { lifeAfter, type SessionRecord } from '../store/record.ts'

/** One revision of a stored session, never changed: the next revision is another picture. */
export type Picture = Omit<SessionRecord, 'id'>

export interface Lifetimes {
  /** After the last use, milliseconds. */
  readonly maxAge: number
  /** After the creation, milliseconds; no use passes it. */
  readonly absoluteMaxAge: number | undefined
}

/** When the life that begins with a use of the session would end, milliseconds since the epoch. */
export function endAfter(use: number, maxAge: number, absolute: number | undefined): number {
  return Math.min(use + maxAge, absolute ?? Infinity)
}

/** The first revision of a session made now; with a limit that it has from elsewhere, if any. */
export function newPicture(
  { maxAge: usual, absoluteMaxAge }: Lifetimes,
  maxAge = usual,
  fields: Fields = {},
  limit?: number,
): Picture {
  const now = Date.now()
  const absolute = limit ?? (absoluteMaxAge === undefined ? undefined : now + absoluteMaxAge)
  return {
    fields,
    rev: 1,
    created: new Date(now),
    expires: new Date(endAfter(now, maxAge, absolute)),
    ...(absolute !== undefined && { absolute: new Date(absolute) }),
    maxAge,
  }
}

/** The picture one revision on, where only `paths` differ and `fields` holds what is there now. */
export function completed(picture: Picture, rev: number, paths: readonly Path[], fields: Fields): Picture {
  return { ...picture, rev, fields: graftedAll(picture.fields, fields, paths) }
}

/** The picture with the idle life that it has after a change. */
export function extended(picture: Picture, change: Change): Picture {
  const { expires, maxAge } = lifeAfter(
    { expires: picture.expires.getTime(), maxAge: picture.maxAge },
    change,
  )
  return { ...picture, expires: new Date(expires), maxAge }
}
