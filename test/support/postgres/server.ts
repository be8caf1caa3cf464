import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
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
  const port = await aFreePort()
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
      await ended(server, 'SIGQUIT')
      server = await started(join(bin, 'postgres'), data, as, uri)
    },
    async stop() {
      await ended(server, 'SIGINT')
      await rm(root, { recursive: true, force: true })
    },
  }
}

/** Somebody else may take it meanwhile, which then shows. */
export async function aFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (typeof address !== 'object' || !address) throw new Error('There is no free port')
  return address.port
}

async function started(program: string, data: string, as: object, uri: string): Promise<ChildProcess> {
  const server = spawn(program, ['-D', data], { ...as, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  server.stderr?.on('data', chunk => {
    said = `${said}${chunk}`.slice(-4000)
  })
  // Where this process is killed, nobody stops it otherwise.
  const kill = () => server.kill('SIGQUIT')
  process.once('exit', kill)
  server.once('exit', () => process.off('exit', kill))
  for (let tries = 0; ; tries++) {
    if (server.exitCode !== null || tries === 300) {
      throw new Error(`PostgreSQL did not start: ${said}`)
    }
    if (await answers(uri)) return server
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

/** SIGINT: a fast shutdown; SIGQUIT: an immediate one, after which it has to recover. */
async function ended(server: ChildProcess, signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const exited = once(server, 'exit')
  server.kill(signal)
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
