import type { Change } from '../language/change.ts'
import type { Known } from './state.ts'

/** What is asked of a touch: a lifetime that the session has from now on, or none. */
export interface Touch {
  readonly maxAge: number | undefined
}

/** When the life that begins with a use of the session would end, milliseconds since the epoch. */
export function endAfter(use: number, maxAge: number, absolute: number | undefined): number {
  return Math.min(use + maxAge, absolute ?? Infinity)
}

/**
 * By the session's own lifetime, as long as that is what this request takes it for, or by one that it is given. Who has no
 * cookie goes by what was read, and only by that.
 */
export function extensionOf(
  known: Known,
  maxAge?: number,
): Pick<Change, 'expires' | 'maxAge' | 'whileMaxAge' | 'rev'> {
  const { isVisitors, absolute } = known
  const expires = new Date(endAfter(Date.now(), maxAge ?? known.maxAge, absolute))
  const rev = isVisitors ? undefined : { rev: known.picture.rev }
  if (maxAge !== undefined) return { expires, maxAge, ...rev }
  return rev ? { expires, ...rev } : { expires, whileMaxAge: known.maxAge }
}

/** Whether the cookie is so old that its session is to be extended. One with a shorter life of its own is the sooner. */
export function isDue({ maxAge, cookieMaxAge, issued }: Known, touchAfter: number, usual: number): boolean {
  return Date.now() - issued >= touchAfter * Math.min(1, Math.min(maxAge, cookieMaxAge) / usual)
}
