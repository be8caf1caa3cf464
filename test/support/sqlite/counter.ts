import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Durability } from '../../../src/stores/sqlite/form.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const program = fileURLToPath(new URL('counter.mjs', import.meta.url))

interface CounterOptions {
  /** Characters that each change also writes. */
  readonly size: number
  readonly durability?: Durability
  /** How often it counts before it ends. */
  readonly until?: number
}

/** What Node runs: a program that counts in a session. `store` is what `builtStore` gave. */
export function counterProgram(store: string, path: string, id: string, options: CounterOptions): string[] {
  return [program, store, path, id, JSON.stringify(options)]
}

/** A process that counts in a session of an SQLite file, as fast as it can. */
export class Counter {
  readonly #child: ChildProcess
  readonly #closed: Promise<unknown[]>
  #told = ''

  constructor(...args: Parameters<typeof counterProgram>) {
    this.#child = spawn(process.execPath, counterProgram(...args), { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#told += text
    })
    this.#closed = once(this.#child, 'close')
  }

  /** Resolves once it has counted, or has ended. */
  async begun(): Promise<void> {
    if (this.#child.stdout) await Promise.race([once(this.#child.stdout, 'data'), this.#closed])
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  /** The counts that were acknowledged, in order, once it has been killed. Rejects if it had ended before. */
  async counts(): Promise<number[]> {
    const [code, signal] = await this.#closed
    if (signal !== 'SIGKILL') throw new Error(`It ended by itself, with ${code ?? signal}`)
    return this.#told.split('\n').slice(0, -1).map(Number)
  }
}

let built: string | undefined

/** The store compiled, by and for this process, where it finds its packages; the packed one where that is tested. */
export function builtStore(): string {
  built ??= compiled()
  return built
}

function compiled(): string {
  const packed = join(root, 'node_modules/koa-atomic-session/dist/stores/sqlite/store.js')
  if (existsSync(packed)) return packed
  // Of its own: the same tests may run in another process, with another driver.
  const folder = join(root, 'node_modules', '.cache', `sqlite-${process.pid}`)
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  execFileSync('npm', ['run', '--silent', 'build', '--', folder], { cwd: root, stdio: 'inherit' })
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
  return join(folder, 'stores', 'sqlite', 'store.js')
}
