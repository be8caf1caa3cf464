import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

export interface RunningShop {
  readonly url: string
  /** What it wrote to its error stream. */
  readonly complaints: readonly string[]
  /** Tells it to stop, by SIGTERM if nothing else is given, and gives how it ended: `[0, null]` if by itself. */
  stop(signal?: NodeJS.Signals): Promise<unknown[]>
}

/** Starts the example shop, on a free port unless `env` says which; by default with its sessions in files in `folder`. What it said where it did not start is in an error, and in its `cause` how it ended. */
export async function startShop(folder: string, env: NodeJS.ProcessEnv = {}): Promise<RunningShop> {
  const { MONGODB_URI: _, DATABASE_URL: __, REDIS_URL: ___, SESSION_KEYS: ____, ...others } = process.env
  // Node.js 22 warns that its SQLite is experimental, whoever uses it.
  const options = ['--disable-warning=ExperimentalWarning', '--import', 'tsx']
  const shop = spawn(process.execPath, [...options, 'example/shop.ts'], {
    cwd: root,
    env: { ...others, PORT: '0', DATA_FOLDER: folder, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(shop, 'close')
  const complaints: string[] = []
  createInterface(shop.stderr).on('line', line => complaints.push(line))
  for await (const line of createInterface(shop.stdout)) {
    const url = /http:\/\/\S+/.exec(line)?.[0]
    if (!url) continue
    const stop = (signal: NodeJS.Signals = 'SIGTERM') => {
      shop.kill(signal)
      return ended
    }
    return { url, complaints, stop }
  }
  throw new Error(complaints.join('\n'), { cause: await ended })
}

/** A folder of its own for a shop's data. */
export async function aFolder(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'shop-'))
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}
