import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

export const run = promisify(execFile)

export const root = fileURLToPath(new URL('../../..', import.meta.url))
const cache = join(root, 'node_modules/.cache')

/** Node itself, as a package. */
const NODE = `node-${process.platform.replace('win32', 'win')}-${process.arch}`

/**
 * A newer Node, with SQLite of its own.
 * @throws if it cannot be installed.
 */
export async function newerNode(): Promise<string> {
  const modules = await installed('sqlite-node', `${NODE}@24`)
  return join(modules, NODE, 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
}

/**
 * Where `better-sqlite3` is, compiled. It is no dependency, since that takes minutes.
 * @throws if it cannot be installed.
 */
export function betterSQLite(): Promise<string> {
  return installed('sqlite-better', 'better-sqlite3@12')
}

/** The `node_modules` of a folder of its own, which has this package. */
async function installed(name: string, wanted: string): Promise<string> {
  const folder = join(cache, name)
  const modules = join(folder, 'node_modules')
  if (existsSync(modules)) return modules
  // Elsewhere first, so that what is half installed is not taken for it.
  const trial = `${folder}-${process.pid}`
  await mkdir(trial, { recursive: true })
  try {
    await writeFile(join(trial, 'package.json'), '{ "private": true }\n')
    await run('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock', wanted], { cwd: trial })
    await rename(trial, folder)
  } finally {
    await rm(trial, { recursive: true, force: true })
  }
  return modules
}
