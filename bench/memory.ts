import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Act } from './acts.ts'
import { folder } from './built.ts'
import { spreadOf, storeOf } from './figures.ts'
import { type Load, startApp } from './processes.ts'

/** What one contender takes of memory. */
export interface Memory {
  readonly contender: string
  /** Bytes of a process that has imported what the app needs, and does nothing. */
  readonly idle: number
  /** Bytes that a request allocates, by what it does. */
  readonly allocated: Readonly<Record<string, number>>
}

/** What an app imports, by the contender's name without its store. */
const libraries: Readonly<Record<string, readonly string[]>> = {
  'bare Koa': ['koa'],
  'Koa, driver connected': ['koa', 'mongodb'],
  'by hand': ['koa'],
  ours: ['koa', new URL('index.js', folder).href],
  'koa-session': ['koa', 'koa-session'],
  'koa-generic-session': ['koa', 'koa-generic-session'],
  'express-session': ['express', 'express-session'],
  '@fastify/session': ['fastify', '@fastify/cookie', '@fastify/session'],
}

const stores: Readonly<
  Record<string, { readonly drivers: readonly string[]; readonly ours?: string; readonly express?: string }>
> = {
  MongoDB: { drivers: ['mongodb'], express: 'connect-mongo' },
  Redis: { drivers: ['redis'], ours: 'redis/store', express: 'connect-redis' },
  PostgreSQL: { drivers: ['pg'], ours: 'postgres/store', express: 'connect-pg-simple' },
  SQLite: { drivers: ['libsql'], ours: 'sqlite/store' },
  memory: { drivers: [], ours: 'memory' },
}

const PROCESSES = 5

/** Of processes without a compiler in them. */
export function idleOf(contender: string): number {
  const library = contender.replace(/ \(.*/, '')
  const { drivers = [], ours, express } = stores[storeOf(contender)] ?? {}
  const imports = [...(libraries[library] ?? []), ...drivers]
  if (library === 'ours') {
    imports.push('bson')
    if (ours) imports.push(new URL(`stores/${ours}.js`, folder).href)
  }
  if (express && (library === 'express-session' || library === '@fastify/session')) imports.push(express)
  const program = `for (const name of ${JSON.stringify(imports)}) await import(name)
gc()
console.log(process.memoryUsage.rss())`
  const args = ['--expose-gc', '--input-type=module', '--eval', program]
  const cwd = fileURLToPath(new URL('..', import.meta.url))
  const found = Array.from({ length: PROCESSES }, () =>
    Number(execFileSync(process.execPath, args, { cwd, encoding: 'utf8' })),
  )
  return spreadOf(found).median
}

/** So much is allocated before anything young is collected, and all of it can be seen. */
const YOUNG = ['--expose-gc', '--min-semi-space-size=256', '--max-semi-space-size=256']

/** Few enough, by their size, that they stay below what lets buffers be collected. */
const REQUESTS = 200
const LARGE_REQUESTS = 40

export interface Request {
  readonly name: string
  readonly act: Act
  readonly bytes: number
}

export async function allocatedBy(
  contender: string,
  uri: string,
  load: Load,
  requests: readonly Request[],
): Promise<Record<string, number>> {
  const app = await startApp(contender, uri, YOUNG)
  const found: Record<string, number> = {}
  try {
    for (const { name, act, bytes } of requests) {
      const cookies = await app.visitors(1, bytes)
      const each = bytes > 0 ? LARGE_REQUESTS : REQUESTS
      // For the compiler.
      await load.apply(app, act, cookies, { milliseconds: 30_000, each: 2 * REQUESTS })
      // Buffers go after the collection that finds them.
      await app.used(true)
      const before = await app.used(true)
      await load.apply(app, act, cookies, { milliseconds: 30_000, each })
      found[name] = ((await app.used()).allocated - before.allocated) / each
    }
  } finally {
    await app.stop()
  }
  return found
}
