import { linkSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { threadId } from 'node:worker_threads'
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
  if (file.nlink > 1) {
    throw new ConfigurationError(`${path} has another name, by which it would have another log: leave it one`)
  }
}

/** An empty file, which only its owner may read; SQLite gives those beside it the same rights. */
function make(path: string): void {
  const folder = dirname(path)
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new ConfigurationError(`The folder of the session store's file does not exist: ${folder}`)
  }
  const trial = join(folder, `.${basename(path)}-${process.pid}-${threadId}`)
  try {
    writeFileSync(trial, '', { mode: OWNER_ONLY })
    linkSync(trial, path)
  } catch (error) {
    // Another process was faster.
    if ((error as { code?: unknown }).code !== 'EEXIST') throw error
  } finally {
    rmSync(trial, { force: true })
  }
}
