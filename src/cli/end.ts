import { ConfigurationError } from '../errors.ts'
import type { SessionId } from '../ids.ts'
import { valueAt } from '../language/excerpt.ts'
import { type Path, pathOf } from '../language/paths.ts'
import { isEnded, type SessionRecord } from '../store/record.ts'
import { endOthers } from '../store/signout.ts'
import type { Store } from '../store/store.ts'
import type { Bson, OpenedStore } from './opened.ts'
import { printable } from './printable.ts'
import { idIn } from './show.ts'

export interface Ended {
  /** How many sessions were ended. */
  readonly ended: number
  /** The field that was looked at, where a user's sessions were asked for. */
  readonly field?: Path
  /** Somebody was asked, and said no. */
  readonly declined?: true
}

/** Ends one session: its visitor is signed out. */
export async function endOne({ store }: OpenedStore, given: string): Promise<Ended> {
  const id = idIn(given)
  const found = await store.load(id)
  if (!found || isEnded(found)) return { ended: 0 }
  await store.delete(id)
  return { ended: 1 }
}

export interface EndOptions {
  /** The field that names the user, as the app's option `user` has it. By default the one that the store has an index by. */
  readonly field?: string | undefined
  /** Asked once, with the number of sessions; false leaves them alone. */
  readonly confirm: (sessions: number) => Promise<boolean>
}

/**
 * Ends all sessions of a user.
 *
 * @throws {StoreUnavailableError} that says how many were ended, if some could not be or if there are always more.
 */
export async function endUser(opened: OpenedStore, user: string, options: EndOptions): Promise<Ended> {
  const { store, bson } = opened
  if (!store.find) throw new ConfigurationError('This store cannot find sessions')
  const field = options.field === undefined ? await onlyFieldOf(opened) : pathOf(options.field)
  const users = usersNamed(user, bson)
  const find = () => sessionsOf(store, field, users)
  // Twice, since a session may be regenerated during the first search.
  const sessions = (await numberOf(find())) || (await numberOf(find()))
  if (sessions === 0) return { ended: 0, field }
  if (!(await options.confirm(sessions))) return { ended: 0, field, declined: true }
  const ended = await endOthers(undefined, find, id => store.delete(id), 'give the command again')
  return { ended, field }
}

/** Each once. */
async function* sessionsOf(store: Store, field: Path, users: readonly User[]): AsyncGenerator<SessionRecord> {
  const seen = new Set<SessionId>()
  for (const { value, isRounded } of users) {
    for await (const record of store.find?.(field, value) ?? []) {
      // Numbers of all types are compared by value: another user's integer may be just what this text is rounded to.
      if (isRounded && typeof valueAt(record.fields, field) !== 'number') continue
      if (!seen.has(record.id)) yield record
      seen.add(record.id)
    }
  }
}

async function numberOf(found: AsyncIterable<unknown>): Promise<number> {
  let number = 0
  for await (const _ of found) number++
  return number
}

async function onlyFieldOf({ userFields }: OpenedStore): Promise<Path> {
  const [field, ...others] = await userFields()
  if (field !== undefined && others.length === 0) return field
  throw new ConfigurationError(
    field === undefined
      ? "The store has no index by a user: name the field with --field, as the app's option user does"
      : `The store has indexes by ${[field, ...others].join(', ')}: name the field that is meant with --field`,
  )
}

/** What a session may have as its user. */
interface User {
  readonly value: unknown
  /** The number that is printed as the given integer is another integer. */
  readonly isRounded?: true
}

/** All of which this is the text: `42` is a number too, and 24 hexadecimal digits an ObjectId. */
function usersNamed(text: string, { ObjectId, UUID }: Bson): User[] {
  const users: User[] = [{ value: text }]
  const integer = int64In(text)
  const number = Number(text)
  const isRounded = integer !== undefined && BigInt(number) !== integer
  if (text !== '' && Number.isFinite(number) && String(number) === text) {
    users.push({ value: number, ...(isRounded && { isRounded }) })
  }
  if (integer !== undefined && !Number.isSafeInteger(number)) users.push({ value: integer })
  if (/^[0-9a-f]{24}$/i.test(text)) users.push({ value: new ObjectId(text) })
  if (/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) users.push({ value: new UUID(text) })
  return users
}

function int64In(text: string): bigint | undefined {
  if (!/^-?[1-9]\d{0,18}$/.test(text)) return undefined
  const integer = BigInt(text)
  return BigInt.asIntN(64, integer) === integer ? integer : undefined
}

export function endedText({ ended, field, declined }: Ended): string {
  if (declined) return 'Nothing was done'
  if (ended === 0)
    return field === undefined ? 'There is no such session' : `There is none by ${printable(field)}`
  return `Sessions ended: ${ended}`
}
