import {
  accessSync,
  closeSync,
  constants,
  openSync,
  readSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { ConfigurationError } from '../../errors.ts'

/** The header of an LMDB file: a page's own header comes before the magic number, the version of the format, and more. */
const MAGIC = 0xbeefc0de
const MAGIC_AT = 24
const VERSION = 2
const VERSION_AT = 28
const PAGE_SIZE_AT = 48
const HEADER = 52
/** At the beginning of the file. */
export const META_PAGES = 2

/** What new files need, and more, bytes. */
const ROOM = 256 * 1024

export const OWNER_ONLY = 0o600

/**
 * Throws where LMDB would write into a file that is none of its own, or could not open it: it would not say so, but end the
 * process (lmdb 3.5.6, `EnvWrap::openEnv`, frees twice what it had made until then). `path` may be of a file to be made.
 */
export function assertOpenable(path: string): void {
  const file = found(path)
  if (file) assertLMDB(path, file)
  else assertFolder(dirname(path))

  const lock = found(`${path}-lock`)
  if (lock) assertLock(`${path}-lock`, lock)
  else accessSync(dirname(path), constants.W_OK | constants.X_OK)
  if (!file?.size || !lock?.size) assertRoom(path)
}

function found(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false })
}

function assertFolder(folder: string): void {
  if (found(folder)?.isDirectory()) return
  throw new ConfigurationError(`The folder of the session store's file does not exist: ${folder}`)
}

function assertLMDB(path: string, file: Stats): void {
  if (!file.isFile())
    throw new ConfigurationError(`path is no file: ${path}; give a file's name for the session store`)
  if (file.nlink > 1) {
    throw new ConfigurationError(`${path} has another name, by which it would have other locks: leave it one`)
  }
  if (file.size === 0) return
  const header = headerOf(path)
  if (header.readUInt32LE(MAGIC_AT) !== MAGIC || header.readUInt32LE(VERSION_AT) !== VERSION) {
    throw new ConfigurationError(`${path} holds something else than sessions; it was left as it is`)
  }
  if (file.size < META_PAGES * header.readUInt32LE(PAGE_SIZE_AT)) throw cutShort(path)
}

function headerOf(path: string): Buffer {
  const header = Buffer.alloc(HEADER)
  const fd = openSync(path, 'r')
  try {
    readSync(fd, header)
  } finally {
    closeSync(fd)
  }
  return header
}

export function cutShort(path: string): ConfigurationError {
  return new ConfigurationError(`${path} has been cut short: take a whole copy, or remove it to begin anew`)
}

/** Does not open it: closing it again would free what this process has locked there. */
function assertLock(path: string, lock: Stats): void {
  if (!lock.isFile()) throw new ConfigurationError(`${path} is no file: LMDB keeps its locks there`)
  accessSync(path, constants.R_OK | constants.W_OK)
}

/** LMDB writes into the lock's file as into memory, where it cannot be told that the disk is full. */
function assertRoom(path: string): void {
  const trial = `${path}-trial-${process.pid}`
  try {
    writeFileSync(trial, Buffer.alloc(ROOM), { mode: OWNER_ONLY })
  } finally {
    rmSync(trial, { force: true })
  }
}
