import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { freePort } from '../ports.ts'
import { folderOf, theUser } from './programs.ts'
import { watched } from './server.ts'

export interface Pooler {
  readonly uri: string
  stop(): Promise<void>
}

/** A PgBouncer in transaction mode before the server at this port, or nothing where it is not installed. */
export async function startPgBouncer(serverPort: number): Promise<Pooler | undefined> {
  const bin = await folderOf('pgbouncer')
  if (bin === undefined) return undefined
  const user = await theUser()
  const folder = await mkdtemp(join(tmpdir(), 'pgbouncer-'))
  const port = await freePort()
  const file = join(folder, 'pgbouncer.ini')
  await writeFile(
    file,
    `[databases]
postgres = host=127.0.0.1 port=${serverPort} user=tests
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
max_client_conn = 500
default_pool_size = 10
server_round_robin = 1
ignore_startup_parameters = extra_float_digits
`,
  )
  if (user) for (const path of [folder, file]) await chown(path, user.uid, user.gid)
  const args = ['-c', watched, join(bin, 'pgbouncer'), '-q', file]
  const pooler = spawn('sh', args, { ...user, cwd: folder, stdio: ['pipe', 'ignore', 'ignore'] })
  const uri = `postgres://tests@127.0.0.1:${port}/postgres`
  for (let tries = 0; !(await answers(uri)); tries++) {
    if (tries === 100) throw new Error('PgBouncer did not start')
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  return {
    uri,
    async stop() {
      const exited = once(pooler, 'exit')
      // At once, and not when the last client has left.
      pooler.stdin.end('TERM\n')
      await exited
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function answers(uri: string): Promise<boolean> {
  const client = new Client({ connectionString: uri, connectionTimeoutMillis: 2000 })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('SELECT 1')
    return true
  } catch {
    return false
  } finally {
    await client.end().catch(() => {})
  }
}
