import { types } from 'node:util'
import { SessionError, StoreUnavailableError } from '../../errors.ts'

type Effect = StoreUnavailableError['outcome']

/** How a reply of the server begins that is an error: scripts write nothing before all is decided, so it has written nothing. */
const replied = /^[A-Z][A-Z0-9]*(?: |$)/

/** A script may have written before it came to a command that its user may not call. */
const forbidden = /ACL failure in script|The user executing the script/

/** What clients say that did not send a command; they throw it themselves, without a code. */
const unsent = [
  'The client is closed',
  'The client is offline',
  'The queue is full',
  'All the root nodes are unavailable',
  "Stream isn't writeable and enableOfflineQueue options is false",
  "Cluster isn't ready and enableOfflineQueue options is false",
  'Failed to refresh slots cache.',
  'Cluster is ended.',
]

/** A client's error as a `SessionError`. `mayBeResent`: the client may have sent the command more than once. */
export function redisError(error: unknown, effect: Effect, mayBeResent: boolean): SessionError {
  if (error instanceof SessionError) return error
  const message = isError(error) ? error.message : String(error)
  const isUnwritten =
    effect === 'none' ||
    (!mayBeResent &&
      ((replied.test(message) && !forbidden.test(message)) ||
        unsent.some(beginning => message.startsWith(beginning))))
  const what = replied.test(message)
    ? `Redis refused a command (${message.slice(0, message.search(/ |$/))})`
    : 'Redis could not be reached, or did not confirm'
  return new StoreUnavailableError(what, isUnwritten ? 'none' : 'unknown', { cause: error })
}

/** How errors begin that `WAIT` never has: it writes nothing, names no key and calls no script. */
const ofScripts =
  /^(?:NOSCRIPT|MOVED|ASK|TRYAGAIN|CROSSSLOT|CLUSTERDOWN|OOM|READONLY|NOREPLICAS|MISCONF|WRONGTYPE|ERR Error running script)\b/

/**
 * The error of a script and a `WAIT` that were sent together: where it may be that of `WAIT` alone, the script may have made its
 * change.
 */
export function unlessOfWaiting(error: unknown): unknown {
  const message = isError(error) ? error.message : ''
  // A queue may have had a place left for the script.
  const mayBe = replied.test(message) ? !ofScripts.test(message) : message === 'The queue is full'
  if (!mayBe) return error
  const what = 'Redis refused a change, or to wait for the replicas that must have it'
  return new StoreUnavailableError(what, 'unknown', { cause: error })
}

/** Whether the server does not have a script that is called by its hash: it may have been restarted. */
export function isUnknownScript(error: unknown): boolean {
  return isError(error) && error.message.startsWith('NOSCRIPT')
}

/** Whether a session's key holds another type of value, which is not a session. */
export function isOfAnotherType(error: unknown): boolean {
  return isError(error) && /\bWRONGTYPE\b/.test(error.message)
}

/** Whether another node of a cluster has the key, or is about to: the one that was asked has done nothing. */
export function isElsewhere(error: unknown): boolean {
  return isError(error) && /^(?:MOVED|ASK) /.test(error.message)
}

/** Not by `instanceof`: the client may be of another realm (a vm context, a test runner). */
export function isError(value: unknown): value is Error {
  return types.isNativeError(value)
}
