import { StoreUnavailableError } from '../core/errors.ts'
import type { SessionId } from '../core/record.ts'

/** How often sessions are looked for anew: each time some have come while others were ended. */
const MOST_PASSES = 10

/**
 * Ends the sessions that `find` finds, all but one, until two passes have found none: one may have been given a new id while the first was
 * under way. One that cannot be ended does not keep the others. Resolves to how many were ended.
 */
export async function endOthers(
  except: SessionId | undefined,
  find: () => AsyncIterable<{ readonly id: SessionId }>,
  end: (id: SessionId) => Promise<void>,
): Promise<number> {
  const failed = new Map<SessionId, unknown>()
  let ended = 0
  for (let passes = 1, quiet = 0; quiet < 2; passes++) {
    const ids: SessionId[] = []
    for await (const { id } of find()) if (id !== except && !failed.has(id)) ids.push(id)
    if (ids.length > 0 && passes > MOST_PASSES) throw endless(ended)
    for (const id of ids) {
      try {
        await end(id)
        ended++
      } catch (error) {
        failed.set(id, error)
      }
    }
    quiet = ids.length === 0 ? quiet + 1 : 0
  }
  const [cause] = failed.values()
  if (failed.size > 0) throw incomplete(ended, failed.size, cause)
  return ended
}

function endless(ended: number): StoreUnavailableError {
  return new StoreUnavailableError(
    `${ended} sessions of the user were ended, and there are always more: somebody keeps signing in. Keep the user from ` +
      'signing in, as by another password, then call endAll() again',
    'unknown',
  )
}

function incomplete(ended: number, failed: number, cause: unknown): StoreUnavailableError {
  const message = `${ended} sessions of the user were ended, and ${failed} could not be: call endAll() again`
  return new StoreUnavailableError(message, 'unknown', { cause })
}
