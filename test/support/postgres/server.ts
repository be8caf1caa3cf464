import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { freePort } from '../ports.ts'
import { folderOf, theUser } from './programs.ts'

const run = promisify(execFile)

export interface PostgreSQLServer {
  readonly uri: string
  readonly port: number
  /** For people: which server, and which version. */
  readonly name: string
  /** Ends it as a crash does, and starts it again. */
  crash(): Promise<void>
  stop(): Promise<void>
}

export interface ServerOptions {
  /** Where its data are. @default a new folder, which is removed in the end */
  readonly data?: string
  /** Lines of postgresql.conf. */
  readonly settings?: readonly string[]
}

/** A fresh server on a port of its own, or nothing where PostgreSQL is not installed. */
export async function startPostgreSQL(options: ServerOptions = {}): Promise<PostgreSQLServer | undefined> {
  const bin = await folderOf('initdb')
  if (bin === undefined) return undefined
  const user = await theUser()
  const root = await mkdtemp(join(tmpdir(), 'postgresql-'))
  const data = options.data ?? join(root, 'data')
  if (user) await chown(root, user.uid, user.gid)
  const as = { ...user, cwd: root, env: { ...process.env, LC_ALL: 'C.UTF-8' } }
  if (options.data === undefined) {
    const args = ['-D', data, '-U', 'tests', '-A', 'trust', '-E', 'UTF8', '--no-sync', '--no-instructions']
    await run(join(bin, 'initdb'), args, as)
  }
  const port = await freePort()
  const settings = [
    "listen_addresses = '127.0.0.1'",
    `port = ${port}`,
    `unix_socket_directories = ''`,
    'max_connections = 200',
    'shared_buffers = 64MB',
    'log_min_messages = fatal',
    ...(options.settings ?? []),
  ]
  await writeFile(join(data, 'postgresql.auto.conf'), `${settings.join('\n')}\n`)
  const uri = `postgres://tests@127.0.0.1:${port}/postgres`
  let server = await started(join(bin, 'postgres'), data, as, uri)
  return {
    uri,
    port,
    name: await nameOf(uri),
    async crash() {
      await ended(server, 'QUIT')
      server = await started(join(bin, 'postgres'), data, as, uri)
    },
    async stop() {
      await ended(server, 'INT')
      await rm(root, { recursive: true, force: true })
    },
  }
}

/** Runs a server until it reads the signal to end it with, or the process that has started it is gone, however that ended. */
export const watched = '"$0" "$@" & read -r signal || signal=QUIT; kill -"$signal" $!; wait $!'

async function started(program: string, data: string, as: object, uri: string): Promise<ChildProcess> {
  const args = ['-c', watched, program, '-D', data]
  const server = spawn('sh', args, { ...as, stdio: ['pipe', 'ignore', 'pipe'] })
  let said = ''
  server.stderr?.on('data', chunk => {
    said = `${said}${chunk}`.slice(-4000)
  })
  for (let tries = 0; !(await answers(uri)); tries++) {
    if (tries === 300) throw new Error(`PostgreSQL did not start: ${said}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  return server
}

/** `INT`: a fast shutdown; `QUIT`: an immediate one, after which it has to recover. */
async function ended(server: ChildProcess, signal: 'INT' | 'QUIT'): Promise<void> {
  if (server.exitCode !== null) return
  const exited = once(server, 'exit')
  server.stdin?.end(`${signal}\n`)
  await exited
}

async function answers(uri: string): Promise<boolean> {
  const client = new Client({ connectionString: uri, connectionTimeoutMillis: 2000 })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.end()
    return true
  } catch {
    return false
  }
}

async function nameOf(uri: string): Promise<string> {
  const client = new Client({ connectionString: uri })
  await client.connect()
  try {
    const { rows } = await client.query('SHOW server_version')
    return `PostgreSQL ${rows[0].server_version}`
  } finally {
    await client.end()
  }
}
