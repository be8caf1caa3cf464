import { closeSync, fsyncSync, openSync, readSync, realpathSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { ConfigurationError } from '../../core/errors.ts'
import { isFull, notWritten } from './errors.ts'
import { type Database, loadLMDB } from './package.ts'

/** The header of an LMDB file: a page's own header comes before the magic number and the version of the format. */
const MAGIC = 0xbeefc0de
const MAGIC_AT = 24
const VERSION = 2

const OWNER_ONLY = 0o600

/**
 * Opens an LMDB file, which is made if it is not there. `mapSize` is of addresses, in bytes; with `noSync` nothing is flushed.
 */
export function openLMDB(
  path: string,
  options: { readonly mapSize: number; readonly noSync: boolean },
): Database {
  const { open } = loadLMDB()
  assertLMDB(path)
  return opened(path, () =>
    open({
      ...options,
      path,
      noSubdir: true,
      permissionsMode: OWNER_ONLY,
      keyEncoding: 'binary',
      encoding: 'binary',
      // Otherwise LMDB flushes after others can read what may yet be lost.
      overlappingSync: false,
    }),
  )
}

/**
 * Makes the file if it is not there, and returns its own name, also where `path` is a link: LMDB looks for the locks beside the
 * name that it is given, and all who use the file must find the same.
 */
export function ownName(path: string): string {
  assertLMDB(path)
  return opened(path, () => {
    closeSync(openSync(path, 'a', OWNER_ONLY))
    return realpathSync(path)
  })
}

/** LMDB would write into some files that are none of its own. */
function assertLMDB(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false })
  if (!found) {
    if (statSync(dirname(path), { throwIfNoEntry: false })?.isDirectory()) return
    throw new ConfigurationError(`The folder of the session store's file does not exist: ${dirname(path)}`)
  }
  if (!found.isFile())
    throw new ConfigurationError(`path is no file: ${path}; give a file's name for the session store`)
  if (found.size === 0) return
  const header = opened(path, () => headerOf(path))
  if (header.readUInt32LE(MAGIC_AT) !== MAGIC || header.readUInt32LE(MAGIC_AT + 4) !== VERSION) {
    throw new ConfigurationError(`${path} holds something else than sessions; it was left as it is`)
  }
}

function headerOf(path: string): Buffer {
  const header = Buffer.alloc(MAGIC_AT + 8)
  const fd = openSync(path, 'r')
  try {
    readSync(fd, header)
  } finally {
    closeSync(fd)
  }
  return header
}

/** Calls what opens the file, and says so if that fails. */
export function opened<T>(path: string, open: () => T): T {
  try {
    return open()
  } catch (error) {
    if (isFull(error)) throw notWritten(error, 'none')
    throw Object.assign(new ConfigurationError(`The file of the session store cannot be opened: ${path}`), {
      cause: error,
    })
  }
}

/** Has what the file, or the folder, holds be on the disk. A new file is there once its folder is, too. */
export function flush(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
