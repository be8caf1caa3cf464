import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * The keys that sign cookies: those given, or one that is made when the shop first opens and kept beside its data, so that
 * carts outlive a restart. A real app takes its keys from where it keeps its secrets.
 */
export function signingKeys(given: string | undefined, folder: string): string[] {
  const keys = given?.split(',').filter(Boolean) ?? []
  return keys.length > 0 ? keys : [keptKey(folder)]
}

function keptKey(folder: string): string {
  const file = join(folder, 'session-key')
  mkdirSync(folder, { recursive: true })
  try {
    // Of two shops that are opened at once, one makes the key.
    writeFileSync(file, randomBytes(32).toString('hex'), { flag: 'wx', mode: 0o600 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  return readFileSync(file, 'utf8')
}
