import { execFile } from 'node:child_process'
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { folderOf, theUser } from './programs.ts'
import { type PostgreSQLServer, startPostgreSQL } from './server.ts'

const run = promisify(execFile)

/** A standby of the server, which follows it until it is promoted. */
export async function startStandby(primary: PostgreSQLServer): Promise<PostgreSQLServer> {
  const bin = (await folderOf('pg_basebackup')) ?? ''
  const user = await theUser()
  const folder = await mkdtemp(join(tmpdir(), 'standby-'))
  if (user) await chown(folder, user.uid, user.gid)
  const data = join(folder, 'data')
  await run(join(bin, 'pg_basebackup'), ['-d', primary.uri, '-D', data, '-c', 'fast'], {
    ...user,
    cwd: folder,
  })
  await writeFile(join(data, 'standby.signal'), '')
  const settings = [`primary_conninfo = '${primary.uri}?application_name=standby'`]
  const server = await startPostgreSQL({ data, settings })
  if (!server) throw new Error('PostgreSQL is not installed')
  return {
    ...server,
    async stop() {
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
