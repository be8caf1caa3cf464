import { isEnded } from '../../store/record.ts'
import type { Examined, GivenSession } from '../app/diagnosis.ts'
import { openStore } from '../opening.ts'
import type { Target } from '../target.ts'
import { MAX_SKEW } from './faults.ts'
import { type DoctorOptions, type Fault, type Finding, findingsOf } from './finding.ts'

/** Whether the sessions that an app has begun are in the store. They are ended, whether this is skipped or not. */
export async function sameStore(
  target: Target,
  { sessions, began }: Examined,
  { skip = new Set() }: DoctorOptions,
): Promise<Finding[]> {
  const ending = endBegun(target, sessions, began)
  const isDone = await ending.then(
    () => true,
    () => false,
  )
  // Whoever skips the check has to know all the same that the sessions are still there.
  const skipped: DoctorOptions['skip'] = isDone ? skip : new Set()
  const look = async () => sameStoreFound(await ending)
  return findingsOf([{ name: 'same-store', look }], skipped, target.censor)
}

/** What the store has of a session that the app gave. */
interface Kept extends GivenSession {
  readonly kept: 'no' | 'begun' | 'older'
  /** By how much it is older, milliseconds. */
  readonly age: number
}

/** Ends the sessions that were created since. An older one is another visitor's, from a cache that does not say so. */
async function endBegun(target: Target, sessions: readonly GivenSession[], began: Date): Promise<Kept[]> {
  const { store, close } = await openStore(target)
  const keptOf = async (session: GivenSession): Promise<Kept> => {
    const { id } = session
    const found = await store.load(id)
    if (!found || isEnded(found)) return { ...session, kept: found ? 'begun' : 'no', age: 0 }
    const age = began.getTime() - found.created.getTime()
    if (age > 0) return { ...session, kept: 'older', age }
    await store.delete(id)
    return { ...session, kept: 'begun', age: 0 }
  }
  try {
    const unique = [...new Map(sessions.map(session => [session.id, session])).values()]
    const ended = unique.map(keptOf)
    // One that cannot be ended does not keep the others.
    await Promise.allSettled(ended)
    return await Promise.all(ended)
  } finally {
    await close()
  }
}

function sameStoreFound(sessions: readonly Kept[]): readonly Fault[] | string {
  const older = sessions.filter(({ kept }) => kept === 'older')
  if (older.length > 0) {
    return [
      {
        severity: older.some(({ age }) => age > MAX_SKEW) ? 'warning' : 'note',
        message:
          "The app gave a session of this store that had been created before it was asked: a cache gives one visitor's session to others, or the app's clock is behind this machine's. The session was not ended",
        advice: 'Keep such pages out of caches. Let all machines follow one time server (NTP)',
      },
    ]
  }
  const meant = sessions.filter(({ isMeant }) => isMeant)
  if (meant.length === 0) return 'Nothing to look at'
  if (meant.some(({ kept }) => kept === 'begun')) return 'The app keeps its sessions in this store'
  return [
    {
      severity: 'error',
      message:
        'The session that the app has just begun is not in this store: the app uses another one, or another name in it',
      advice:
        "Compare the app's address, database, collection, prefix, schema and table with those given here",
    },
  ]
}
