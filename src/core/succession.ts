import { randomBytes } from 'node:crypto'
import type { Change } from './change.ts'
import { IdTakenError } from './errors.ts'
import { idOf, newSecret, type Secret } from './ids.ts'
import type { Picture } from './picture.ts'
import type { SessionId } from './record.ts'
import type { Store } from './store.ts'

/** How long a tombstone stands: longer than any request that was under way when its session ended. */
const TOMBSTONE_LIFE = 60_000

/** Brings a session one revision on: what others meant to do to it as it was comes to nothing. */
export const NOTHING: Change = { guards: [], operations: [] }

/** One id that is taken is a wonder; three are a broken generator. */
const MOST_IDS = 3

/** Stores a session under `secret`'s id or, should that be taken, under another's; never over another session. */
export async function insertNew(store: Store, picture: Picture, secret: Secret): Promise<Secret> {
  for (let tries = 1; ; tries++) {
    try {
      await store.insert({ id: idOf(secret), ...picture })
      return secret
    } catch (error) {
      if (!(error instanceof IdTakenError) || tries === MOST_IDS) throw error
      secret = newSecret()
    }
  }
}

/** Ends a session, leaving a tombstone; with `rev`, only at that revision. True if this is what ended it. */
export function endOld(store: Store, id: SessionId, rev?: number, next?: string): Promise<boolean> {
  const now = Date.now()
  const tombstone = { ended: new Date(now), ...(next !== undefined && { next }) }
  return store.end(id, tombstone, new Date(now + TOMBSTONE_LIFE), rev)
}

/** The longest that a session may be followed: no longer than its tombstone stands. */
export const MOST_GRACE = TOMBSTONE_LIFE

/**
 * What the tombstone of a session that was replaced says: until when one may follow, and a nonce, by which the new secret is
 * derived and this tombstone is known from others. Without grace nobody may.
 */
export function follower(grace: number): string {
  const until = grace > 0 ? Date.now() + grace : 0
  return `${until.toString(36)}.${randomBytes(16).toString('hex')}`
}

export function isFollowable(next: string): boolean {
  return Number.parseInt(next, 36) > Date.now()
}
