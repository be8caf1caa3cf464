import { randomBytes } from 'node:crypto'
import { IdTakenError } from '../errors.ts'
import type { SessionId } from '../ids.ts'
import { idOf, newSecret, type Secret } from '../ids.ts'
import type { Store } from '../store/store.ts'
import type { Picture } from './picture.ts'

/** How long a tombstone stands: longer than any request that was under way when its session ended. */
const TOMBSTONE_LIFE = 60_000

/** One id that is taken is a wonder; three are a broken generator. */
const MAX_IDS = 3

/**
 * Stores a session under `secret`'s id or, should that be taken, under another's; never over another session. One that
 * `isFixed` is stored under no other: rejects with `IdTakenError`.
 */
export async function insertNew(
  store: Store,
  picture: Picture,
  secret: Secret,
  isFixed: boolean,
): Promise<Secret> {
  for (let tries = 1; ; tries++) {
    try {
      await store.insert({ id: idOf(secret), ...picture })
      return secret
    } catch (error) {
      if (isFixed || !(error instanceof IdTakenError) || tries === MAX_IDS) throw error
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

/** Brings a session one revision on: what was to be done to it as it was comes to nothing. False if it is not there. */
export async function moveOn(store: Store, id: SessionId): Promise<boolean> {
  return typeof (await store.update(id, { guards: [], operations: [] })) === 'object'
}

/** The longest that a session may be followed: no longer than its tombstone stands. */
export const MAX_GRACE = TOMBSTONE_LIFE

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
