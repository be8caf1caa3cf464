import { execFile } from 'node:child_process'
import { access, readdir } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The folder of a program: Debian keeps those of PostgreSQL out of the path, a folder for each version. */
export async function folderOf(program: string): Promise<string | undefined> {
  const debian = '/usr/lib/postgresql'
  const versions = (await readdir(debian).catch(() => [])).sort((a, b) => Number(b) - Number(a))
  const folders = [
    ...versions.map(version => join(debian, version, 'bin')),
    ...(process.env.PATH ?? '').split(delimiter),
    '/usr/sbin',
  ]
  for (const folder of folders) {
    const isThere = await access(join(folder, program)).then(
      () => true,
      () => false,
    )
    if (isThere) return folder
  }
  return undefined
}

export interface User {
  readonly uid: number
  readonly gid: number
}

/** Whom the servers run as, which refuse to be root's; nobody else where the tests are not root's either. */
export async function theUser(): Promise<User | undefined> {
  if (process.getuid?.() !== 0) return undefined
  for (const name of ['postgres', 'nobody']) {
    const ids = await Promise.all(
      ['-u', '-g'].map(option => run('id', [option, name]).then(({ stdout }) => Number(stdout))),
    ).catch(() => undefined)
    if (ids) return { uid: ids[0] as number, gid: ids[1] as number }
  }
  throw new Error('PostgreSQL does not run as root, and there is neither a user postgres nor nobody')
}
