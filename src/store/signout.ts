import { StoreUnavailableError } from '../errors.ts'
import type { SessionId } from '../ids.ts'

/** How often to search again: each time new sessions may have been created while others were ended. */
const MAX_PASSES = 10

/** A later pass may find this many, or ten times as many as the first. */
const MAX_FOUND = 1000

const MORE = ', and there are always more: somebody keeps signing in. Change the password, then'

/** How many are ended at once: sessions must end faster than somebody can sign in. */
const AT_ONCE = 100

/**
 * Ends the sessions that `find` finds, except one, until two passes in a row have found none: a session may be regenerated during a
 * pass. A session that cannot be ended does not stop the others from being ended. Resolves to the number ended.
 *
 * @param again what to do after a failure, for its message.
 */
export async function endOthers(
  except: SessionId | undefined,
  find: () => AsyncIterable<{ readonly id: SessionId }>,
  end: (id: SessionId) => Promise<void>,
  again: string,
): Promise<number> {
  const failed = new Map<SessionId, unknown>()
  let ended = 0
  /** A call that failed may have ended its session all the same. `rest`: what else is known. */
  const unfinished = (rest: string, cause?: unknown) => {
    const unsure = failed.size === 0 ? '' : `, and for ${failed.size} more this could not be confirmed`
    const message = `${ended} sessions of the user were ended${unsure}${rest} ${again}`
    return new StoreUnavailableError(message, 'unknown', { cause })
  }
  for (let passes = 1, quiet = 0, most = Number.POSITIVE_INFINITY; quiet < 2; passes++) {
    const ids: SessionId[] = []
    let isEndless = false
    try {
      for await (const { id } of find()) {
        if (id === except || failed.has(id)) continue
        isEndless = passes > MAX_PASSES || ids.length === most
        if (isEndless) break
        ids.push(id)
      }
    } catch (error) {
      // The search changed nothing, but the calls before it may have.
      const isUnchanged = ended === 0 && [...failed.values()].every(isRefused)
      throw isUnchanged ? error : unfinished(', and whether there are more is not known:', error)
    }
    if (isEndless) throw unfinished(MORE)
    if (passes === 1) most = Math.max(MAX_FOUND, 10 * ids.length)
    for (let begin = 0; begin < ids.length; begin += AT_ONCE) {
      const some = ids.slice(begin, begin + AT_ONCE)
      for (const [index, result] of (await Promise.allSettled(some.map(id => end(id)))).entries()) {
        if (result.status === 'fulfilled') ended++
        else failed.set(some[index] as SessionId, result.reason)
      }
    }
    quiet = ids.length === 0 ? quiet + 1 : 0
  }
  const [cause] = failed.values()
  if (failed.size > 0) throw unfinished(':', cause)
  return ended
}

/** Whether the store says that it has not made this call. */
function isRefused(error: unknown): boolean {
  return error instanceof StoreUnavailableError && error.outcome === 'none'
}
