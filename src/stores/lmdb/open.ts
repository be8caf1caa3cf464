import { closeSync, fsyncSync, openSync, realpathSync, statSync } from 'node:fs'
import { constants } from 'node:os'
import { assertOpenable, OWNER_ONLY } from './openable.ts'
import { type Database, type DatabaseClass, loadLMDB } from './package.ts'

/** The lock's file has room for so many stores at a time, of all processes together. */
const MAX_STORES = 1000

const ATTEMPTS = 10
/** The longest pause after the first of them, milliseconds; after later ones it is longer. */
const PAUSE = 10

/**
 * Opens an LMDB file, which is made if it is not there. `mapSize` is of addresses, in bytes; with `noSync` nothing is flushed.
 */
export function openLMDB(
  path: string,
  options: { readonly mapSize: number; readonly noSync: boolean },
): Database {
  assertOpenable(path)
  const all = {
    ...options,
    path,
    noSubdir: true,
    isRoot: true,
    permissionsMode: OWNER_ONLY,
    maxReaders: MAX_STORES,
    keyEncoding: 'binary',
    encoding: 'binary',
    // Otherwise LMDB flushes after others can read what may yet be lost.
    overlappingSync: false,
  }
  for (let attempt = 1; ; attempt++) {
    const Class = loadLMDB().openAsClass(all)
    try {
      return new Class(null, all)
    } catch (error) {
      close(Class)
      if (!isUnlocked(error) || attempt === ATTEMPTS) throw error
      pause(Math.random() * PAUSE * attempt)
    }
  }
}

/** Another process, the last that had the file open, has closed it at the same moment, and done away with its locks. */
function isUnlocked(error: unknown): boolean {
  return (error as { code?: unknown }).code === constants.errno.EINVAL
}

/** Without this the file would stay open, and its locks as they are for whoever comes. */
function close(Class: DatabaseClass): void {
  void Class.prototype.close.call({ __proto__: Class.prototype, isRoot: true })
}

function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}

/**
 * Makes the file if it is not there, and returns its own name, also where `path` is a link: LMDB looks for the locks beside the
 * name that it is given, and all who use the file must find the same.
 */
export function ownName(path: string): string {
  // Before anything is made that without the package would be of no use.
  loadLMDB()
  assertOpenable(path)
  closeSync(openSync(path, 'a', OWNER_ONLY))
  return realpathSync(path)
}

/** Has what the file, or the folder, holds be on the disk. A new file is there once its folder is, too. */
export function flush(path: string): void {
  const isFolder = statSync(path).isDirectory()
  // Windows flushes no folders.
  if (isFolder && process.platform === 'win32') return
  const fd = openSync(path, isFolder ? 'r' : 'r+')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
