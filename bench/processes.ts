import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo, Server } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Act } from './acts.ts'
import type { Used } from './app.ts'
import { folder } from './built.ts'
import type { Measured, Order } from './load.ts'

/** A contender's app in a process of its own. */
export interface RunningApp {
  readonly port: number
  /** What its process has used so far; after a collection, if it is asked for and can be had. */
  used(isCollected?: boolean): Promise<Used>
  /** The cookies of so many new sessions of this size. */
  visitors(count: number, bytes: number): Promise<string[]>
  stop(): Promise<void>
}

/** `flags` are for Node.js. */
export async function startApp(
  name: string,
  uri: string,
  flags: readonly string[] = [],
): Promise<RunningApp> {
  const child = start('app.ts', [name, uri], flags)
  const [port] = (await answerOf(child)) as [number]
  const seeded = new Map<number, string[]>()
  return {
    port,
    async used(isCollected = false) {
      const answer = answerOf(child)
      child.send(isCollected ? 'collect' : 'tell')
      const [used] = (await answer) as [Used]
      return used
    },
    async visitors(count, bytes) {
      const cookies = seeded.get(bytes) ?? []
      seeded.set(bytes, cookies)
      while (cookies.length < count) cookies.push(await aVisitor(port, bytes))
      return cookies.slice(0, count)
    },
    stop: () => stop(child),
  }
}

async function aVisitor(port: number, bytes: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/seed?bytes=${bytes}`)
  if (response.status !== 200) throw new Error(`A session could not be stored: ${await response.text()}`)
  return response.headers
    .getSetCookie()
    .map(cookie => cookie.split(';')[0])
    .join('; ')
}

export interface Load {
  /** Sends requests of these visitors, and measures them. */
  apply(app: RunningApp, act: Act, cookies: readonly string[], limits: Limits): Promise<Measured>
  stop(): Promise<void>
}

export type Limits = Pick<Order, 'milliseconds' | 'each'>

export function startLoad(): Load {
  const child = start('load.ts')
  return {
    async apply({ port }, act, cookies, limits) {
      const answer = answerOf(child)
      child.send({ port, path: `/${act}`, cookies, ...limits } satisfies Order)
      const [measured] = (await answer) as [Measured | { error: string }]
      if ('error' in measured) throw new Error(`${act}: ${measured.error}`)
      return measured
    },
    stop: () => stop(child),
  }
}

export async function portOf(server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

function start(file: string, args: string[] = [], flags: readonly string[] = []): ChildProcess {
  const path = fileURLToPath(new URL(file, import.meta.url))
  return fork(path, args, { execArgv: [...flags, ...profiling(args[0]), '--import', 'tsx'] })
}

/** `PROFILE='ours (MongoDB)'` writes what that app spends its time on, to be opened in a browser's developer tools. */
function profiling(name: string | undefined): string[] {
  const wanted = process.env.PROFILE
  return wanted !== undefined && wanted === name
    ? ['--cpu-prof', '--cpu-prof-dir', fileURLToPath(new URL('profiles', folder))]
    : []
}

/** The next message of a process, or its end as an error. */
async function answerOf(child: ChildProcess): Promise<unknown[]> {
  const over = new AbortController()
  const ended = once(child, 'exit', { signal: over.signal }).then(
    ([code]) => {
      throw new Error(`A process of the benchmark has ended (${code})`)
    },
    () => [],
  )
  try {
    return await Promise.race([once(child, 'message', { signal: over.signal }), ended])
  } finally {
    over.abort()
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const exited = once(child, 'exit')
  child.disconnect()
  await exited
}

/** Of so many increments at once, how many were kept. */
export interface Kept {
  readonly contender: string
  readonly round: number
  readonly kept: number
}
