import { type Stats, statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { ENDED_FORM, FORM } from '../../store/record.ts'
import { bsonFor } from '../../stores/bson.ts'
import type { SQLiteDatabase } from '../../stores/sqlite/driver.ts'
import { APPLICATION_ID, FORM as FILE_FORM, numberOf } from '../../stores/sqlite/form.ts'
import { expiredFound, GRACE, recordFaults } from '../doctor/faults.ts'
import { type Check, type DoctorOptions, type Fault, orFine } from '../doctor/finding.ts'
import type { Target } from '../target.ts'
import { diskOf } from './disk.ts'

export function checksOfSQLite(db: SQLiteDatabase, { address }: Target, { field }: DoctorOptions): Check[] {
  // A database of something else has no such tables.
  const ofOurs = (look: () => readonly Fault[] | string) => async () =>
    isOurs(db) ? look() : 'Nothing to look at'
  return [
    { name: 'connection', look: async () => connectionFound(db, address) },
    { name: 'names', look: async () => namesFound(db, address) },
    { name: 'rights', look: async () => rightsFound(address) },
    { name: 'indexes', look: ofOurs(() => indexesFound(db, field)) },
    { name: 'durability', look: async () => durabilityFound(db, address) },
    { name: 'expired', look: ofOurs(() => expiredIn(db)) },
    { name: 'records', look: ofOurs(() => recordsFound(db, address)) },
  ]
}

function isOurs(db: SQLiteDatabase): boolean {
  return (
    numberOf(db, 'PRAGMA application_id') === APPLICATION_ID &&
    numberOf(db, 'PRAGMA user_version') === FILE_FORM
  )
}

/** Bytes: larger files are not read as a whole. */
const READ_WHOLE = 256 * 1024 * 1024

function connectionFound(db: SQLiteDatabase, path: string): readonly Fault[] | string {
  if (statSync(path).size <= READ_WHOLE) {
    const [first] = Object.values(db.prepare('PRAGMA quick_check(1)').get() as object)
    if (first !== 'ok') {
      return [
        {
          severity: 'error',
          message: `The file ${path} is damaged`,
          advice: 'Stop the app, and take a backup; or begin with a new file, and visitors sign in again',
        },
      ]
    }
  }
  const [version] = Object.values(db.prepare('SELECT sqlite_version()').get() as object)
  return `SQLite ${version}`
}

function namesFound(db: SQLiteDatabase, path: string): readonly Fault[] | string {
  const application = numberOf(db, 'PRAGMA application_id')
  const form = numberOf(db, 'PRAGMA user_version')
  if (application !== APPLICATION_ID) {
    const isEmpty =
      application === 0 && form === 0 && numberOf(db, 'SELECT count(*) FROM sqlite_schema') === 0
    if (isEmpty) return `There are no sessions in ${path} yet`
    return [
      {
        severity: 'error',
        message: `${path} holds something else than sessions, and the store refuses it`,
        advice: 'Give sqliteStore a file of its own',
      },
    ]
  }
  if (form === FILE_FORM) return `${path} is a file of sessions`
  return [
    {
      severity: 'error',
      message: `${path} has form ${form}, and this version of koa-atomic-session knows form ${FILE_FORM} only`,
      advice: 'Use the version that made it, or another file',
    },
  ]
}

function rightsFound(path: string): readonly Fault[] | string {
  const file = statSync(path)
  const faults: Fault[] = []
  if ((file.mode & 0o077) !== 0 && process.platform !== 'win32') {
    faults.push({
      severity: 'warning',
      message: `Others than its owner can read or write ${path}, and sessions in it are not encrypted`,
      advice: `chmod 600 ${path}`,
    })
  }
  if (file.nlink > 1) {
    faults.push({
      severity: 'error',
      message: `${path} has another name (a hard link), by which it would have another log. The store refuses it`,
      advice: 'Leave it one name',
    })
  }
  for (const beside of ['-wal', '-shm', '-reserve'].map(suffix => path + suffix)) {
    const found = statSync(beside, { throwIfNoEntry: false })
    if (!found || isWritableTo(file, found)) continue
    faults.push({
      severity: 'error',
      message: `${beside} belongs to another user than ${path}, so the app cannot write it`,
      advice: `chown it to the owner of ${path}, and give commands on the file as that user`,
    })
  }
  return orFine(faults, 'Only its owner can read the file')
}

function isWritableTo(owned: Stats, beside: Stats): boolean {
  return beside.uid === owned.uid || (beside.mode & 0o002) !== 0
}

function indexesFound(db: SQLiteDatabase, field: string | undefined): readonly Fault[] | string {
  const names = (
    db.prepare("SELECT name FROM sqlite_schema WHERE type = 'index'").all() as { name: string }[]
  ).map(({ name }) => name)
  const missing = ['sessions_by_expiry', 'sessions_by_user'].filter(name => !names.includes(name))
  const faults: Fault[] = []
  if (missing.length > 0) {
    faults.push({
      severity: 'warning',
      message: `The index ${missing.join(' and the index ')} is missing: somebody has dropped it. Looking for expired sessions, or for a user's, reads all of them`,
      advice: 'Begin with a new file, or copy the definition from one: sqlite3 FILE .schema',
    })
  }
  const { userPath, isIndexed } = db.prepare('SELECT userPath, isIndexed FROM session_file').get() as {
    userPath: string | null
    isIndexed: number
  }
  const wanted = field ?? userPath
  if (wanted !== null && (userPath !== wanted || isIndexed !== 1)) {
    const instead = userPath === null || userPath === wanted ? '' : ` (it is by ${userPath})`
    faults.push({
      severity: 'warning',
      message: `There is no complete index by ${wanted}${instead}, so find() and endAll() look at every session`,
      advice: `Give Session the option user: '${wanted}', and call await sessions.ensureIndex() each time the app starts`,
    })
  }
  return orFine(faults, 'The indexes are there')
}

/** Bytes of a disk that is nearly full. */
const LITTLE = 64 * 1024 * 1024

function durabilityFound(db: SQLiteDatabase, path: string): readonly Fault[] | string {
  const faults: Fault[] = []
  const [mode] = Object.values(db.prepare('PRAGMA journal_mode').get() as object)
  if (mode !== 'wal') {
    faults.push({
      severity: 'warning',
      message: `The file's journal mode is ${mode} and not wal. Readers and writers then wait for each other`,
      advice:
        'Let nothing but the store set it: the store sets wal when the app opens the file. Then look for the program that changes it',
    })
  }
  const disk = diskOf(path)
  if (disk === 'memory') {
    faults.push({
      severity: 'error',
      message: `${path} is on a file system in memory. When the machine restarts, all sessions are gone, with durability: 'disk' too`,
      advice: 'Put the file on a disk',
    })
  }
  if (disk === 'network') {
    faults.push({
      severity: 'error',
      message: `${path} is on a network file system, whose locks do not hold. The file may be damaged`,
      advice: 'Put the file on a disk of this machine, or use another store',
    })
  }
  if (disk === 'container') {
    faults.push({
      severity: 'note',
      message: `${path} is in the layer of a container, which is removed with the container`,
      advice: 'Mount a volume, and put the file there',
    })
  }
  const { bavail, bsize } = statfsSync(dirname(path))
  if (bavail * bsize < LITTLE) {
    faults.push({
      severity: 'warning',
      message: 'The disk is nearly full. Changes then fail with 503, while reading and signing out go on',
      advice: 'Make room',
    })
  }
  return orFine(
    faults,
    "A write-ahead log on a disk. Whether each change is flushed is for the app's option durability",
  )
}

function expiredIn(db: SQLiteDatabase): readonly Fault[] | string {
  const { count, oldest } = db
    .prepare('SELECT count(*) AS count, min(expires) AS oldest FROM sessions WHERE expires <= ?')
    .get(Date.now() - GRACE) as { count: number; oldest: number | null }
  return expiredFound(
    count,
    oldest === null ? undefined : new Date(oldest),
    'Each process of the app removes them once a minute. If none lives that long, call sessions.sweep() from a scheduled job.',
  )
}

/** So many sessions are decoded. */
const MOST = 10_000

function recordsFound(db: SQLiteDatabase, path: string): readonly Fault[] | string {
  const marks = [FORM, ENDED_FORM].join(', ')
  const unknown = numberOf(db, `SELECT count(*) FROM sessions WHERE v NOT IN (${marks})`)
  const others = numberOf(
    db,
    `SELECT count(*) FROM sessions WHERE v IN (${marks}) AND (length(id) <> 64 OR id GLOB '*[^0-9a-f]*')`,
  )
  const { deserialize } = bsonFor('doctor')
  let broken = 0
  const rows = db.prepare(`SELECT fields FROM sessions WHERE v = ${FORM} LIMIT ${MOST}`).all()
  for (const { fields } of rows as { fields: unknown }[]) {
    try {
      deserialize(new Uint8Array(fields as Uint8Array))
    } catch {
      broken++
    }
  }
  return orFine(recordFaults({ others, unknown, broken }, 'Rows', path), 'All records are ours')
}
