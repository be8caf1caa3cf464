import { randomUUID } from 'node:crypto'
import {
  existsSync,
  linkSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { ConfigurationError } from '../../errors.ts'
import { loadDriver, type SQLiteDatabase } from './driver.ts'

const OWNER_ONLY = 0o600

/**
 * Opens the file, and creates it if it does not exist. Only SQLite may open an existing file: by POSIX, closing another descriptor
 * would release all locks of this process on the file.
 */
export function openFile(path: string): SQLiteDatabase {
  const Database = loadDriver()
  // A whole path: the packages take some others for addresses, or for a database in memory.
  const whole = resolve(path)
  assertOpenable(whole)
  return new Database(whole)
}

function assertOpenable(path: string): void {
  const file = statSync(path, { throwIfNoEntry: false })
  if (!file) {
    make(path)
    return
  }
  if (!file.isFile()) {
    throw new ConfigurationError(`path is no file: ${path}; give a file's name for the session store`)
  }
  if (file.nlink > 1 && hasOtherName(realpathSync(path))) {
    throw new ConfigurationError(`${path} has another name, by which it would have another log: leave it one`)
  }
}

/** Whether the file has another name. One that `make` gave it first is removed: its maker is about to do so, or was killed. */
function hasOtherName(path: string): boolean {
  const folder = dirname(path)
  const { ino } = statSync(path)
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(trialOf(path))) continue
    const trial = join(folder, name)
    if (statSync(trial, { throwIfNoEntry: false })?.ino === ino) rmSync(trial, { force: true })
  }
  return statSync(path).nlink > 1
}

function trialOf(path: string): string {
  return `.${basename(path)}-new-`
}

/** An empty file, which only its owner may read; SQLite gives those beside it the same rights. */
function make(path: string): void {
  const folder = dirname(path)
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new ConfigurationError(`The folder of the session store's file does not exist: ${folder}`)
  }
  const trial = join(folder, trialOf(path) + randomUUID())
  try {
    writeFileSync(trial, '', { mode: OWNER_ONLY })
    linkSync(trial, path)
  } catch (error) {
    // Another process was faster, or it is a link to a file that does not exist.
    if ((error as { code?: unknown }).code !== 'EEXIST') throw error
    if (!existsSync(path)) make(resolve(folder, readlinkSync(path)))
  } finally {
    rmSync(trial, { force: true })
  }
}
