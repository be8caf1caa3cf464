import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../ports.ts'

/** For tests' options: why there is no Redis to test with, if there is none. In CI that is a failure. */
export const withoutRedis = ((): string | false => {
  const { status } = spawnSync('redis-server', ['--version'])
  if (status === 0) return false
  if (process.env.CI) throw new Error('CI needs redis-server')
  return 'needs redis-server'
})()

/** Of the server that is installed, such as `7.0.15`. */
export const version = /v=([\d.]+)/.exec(String(spawnSync('redis-server', ['--version']).stdout))?.[1] ?? ''

export type Settings = Readonly<Record<string, string>>

/** So many times another free port is tried: somebody may take one between its being found and its use. */
const MAX_PORTS = 5

const plain: Settings = { save: '', appendonly: 'no', 'repl-diskless-sync-delay': '0' }

/** A server of the tests' own, on a free port, in a folder that goes when it is stopped. */
export class RedisServer {
  readonly port: number
  readonly #settings: Settings
  readonly #program: string
  readonly #folder: string
  #process: ChildProcess | undefined

  private constructor(program: string, port: number, settings: Settings, folder: string) {
    this.#program = program
    this.port = port
    this.#settings = settings
    this.#folder = folder
  }

  static async start(settings: Settings = {}, program = 'redis-server'): Promise<RedisServer> {
    for (let tries = 1; ; tries++) {
      const folder = mkdtempSync(join(tmpdir(), 'redis-'))
      const own = program === 'redis-server' ? { ...plain, ...settings } : settings
      const server = new RedisServer(program, await freePort(), own, folder)
      if (await server.#begin()) return server
      await server.stop()
      if (tries === MAX_PORTS) throw new Error(`${program} does not start`)
    }
  }

  get host(): string {
    return '127.0.0.1'
  }

  get pid(): number {
    return this.#process?.pid ?? 0
  }

  /** Begins again, with what is on disk. A client that comes back too soon may have its port for a moment. */
  async restart(settings: Settings = {}): Promise<void> {
    for (let tries = 1; !(await this.#begin(settings)); tries++) {
      if (tries === 50) throw new Error(`${this.#program} does not start again`)
      await delay(100)
    }
  }

  /** Whether it answers. */
  async #begin(more: Settings = {}): Promise<boolean> {
    const settings: Settings = {
      port: String(this.port),
      bind: this.host,
      dir: this.#folder,
      ...this.#settings,
      ...more,
    }
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
    // A sentinel writes what it learns into its file.
    const files = this.#program === 'redis-sentinel' ? [join(this.#folder, 'sentinel.conf')] : []
    if (files[0]) spawnSync('touch', files)
    const child = spawn(this.#program, [...files, ...args], { stdio: 'ignore' })
    this.#process = child
    for (let waited = 0; waited < 1000 && child.exitCode === null; waited++) {
      const reply = await this.#ask('PING').catch(() => '')
      if (reply.startsWith('+PONG')) return true
      await delay(10)
    }
    return false
  }

  /** As a crash of the process does. */
  async kill(): Promise<void> {
    const child = this.#process
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }

  /** It does nothing until it is resumed, and keeps its connections. */
  pause(): void {
    this.#process?.kill('SIGSTOP')
  }

  resume(): void {
    this.#process?.kill('SIGCONT')
  }

  async stop(): Promise<void> {
    await this.kill()
    await rm(this.#folder, { recursive: true, force: true })
  }

  /** One command without arguments that hold spaces, and its reply as the protocol has it. */
  command(...words: string[]): Promise<string> {
    return this.#ask(words.join(' '))
  }

  async #ask(line: string): Promise<string> {
    const socket = connect(this.port, this.host)
    try {
      await once(socket, 'connect')
      socket.write(`${line}\r\n`)
      let reply = ''
      for await (const chunk of socket) {
        reply += chunk
        if (isWhole(reply)) break
      }
      return reply
    } finally {
      socket.destroy()
    }
  }
}

/** A line, or a text with its length before it. */
function isWhole(reply: string): boolean {
  const [first = ''] = reply.split('\r\n', 1)
  if (!reply.includes('\r\n')) return false
  if (!first.startsWith('$') || first === '$-1') return true
  return reply.length >= first.length + 4 + Number(first.slice(1))
}
