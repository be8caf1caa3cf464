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
  /** After the creation, milliseconds. No use extends a session beyond it. */
  readonly absoluteMaxAge: number | undefined
}

/** When a session ends that was last used at `use`, milliseconds since the epoch. */
export function endOfLife(use: number, maxAge: number, absolute: number | undefined): number {
  return Math.min(use + maxAge, absolute ?? Infinity)
}

/** The first revision of a session made now. `limit`: an absolute limit that it has already, milliseconds since the epoch. */
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
    expires: new Date(endOfLife(now, maxAge, absolute)),
    ...(absolute !== undefined && { absolute: new Date(absolute) }),
    maxAge,
  }
}

/** The picture one revision on: only `paths` differ, and `fields` has what is there now. */
export function completed(picture: Picture, rev: number, paths: readonly Path[], fields: Fields): Picture {
  return { ...picture, rev, fields: graftedAll(picture.fields, fields, paths) }
}

/** The picture with the end and the lifetime that it has after a change. */
export function extended(picture: Picture, change: Change): Picture {
  const { expires, maxAge } = lifeAfter(
    { expires: picture.expires.getTime(), maxAge: picture.maxAge },
    change,
  )
  return { ...picture, expires: new Date(expires), maxAge }
}
