import { ConfigurationError } from '../errors.ts'
import type { SessionId } from '../ids.ts'
import { type Path, pathOf } from '../language/paths.ts'
import { isEnded } from '../store/record.ts'
import type { Bson, OpenedStore } from './opened.ts'
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

/** While one pass ends sessions, others may come. */
const MAX_PASSES = 10

/** Ends all sessions of a user. */
export async function endUser(opened: OpenedStore, user: string, options: EndOptions): Promise<Ended> {
  const { store, bson } = opened
  if (!store.find) throw new ConfigurationError('This store cannot find sessions')
  const field = options.field === undefined ? await onlyFieldOf(opened) : pathOf(options.field)
  const users = usersNamed(user, bson)
  const find = async (): Promise<Set<SessionId>> => {
    const ids = new Set<SessionId>()
    for (const value of users) for await (const { id } of store.find?.(field, value) ?? []) ids.add(id)
    return ids
  }
  let ids = await find()
  if (ids.size > 0 && !(await options.confirm(ids.size))) return { ended: 0, field, declined: true }
  let ended = 0
  for (let passes = 0; ids.size > 0; passes++) {
    if (passes === MAX_PASSES) {
      throw new ConfigurationError(
        `Sessions ended: ${ended}, and there are always more. Keep the user from signing in, then give the command again`,
      )
    }
    for (const id of ids) {
      await store.delete(id)
      ended++
    }
    ids = await find()
  }
  return { ended, field }
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

/** What a session may have there of which this is the text: `42` is a number too, and 24 hexadecimal digits an ObjectId. */
function usersNamed(text: string, { ObjectId, UUID }: Bson): unknown[] {
  const users: unknown[] = [text]
  if (text !== '' && String(Number(text)) === text) users.push(Number(text))
  if (/^[0-9a-f]{24}$/i.test(text)) users.push(new ObjectId(text))
  if (/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) users.push(new UUID(text))
  return users
}

export function endedText({ ended, field, declined }: Ended): string {
  if (declined) return 'Nothing was done'
  if (ended === 0) return field === undefined ? 'There is no such session' : `There is none by ${field}`
  return `Sessions ended: ${ended}`
}
