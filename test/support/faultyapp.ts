import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { inspect } from 'node:util'
import type { Collection, MongoClientOptions } from 'mongodb'
import type { MongoDBCollection } from '../../src/index.ts'
import { type AppOptions, anApp, type Handler, type RunningApp } from './app.ts'
import { aCollection } from './mongodb/collection.ts'
import { aProxy, type ProxiedMongoDB } from './mongodb/proxy.ts'
import type { Tap } from './proxy.ts'
import type { Visitor } from './visitor.ts'

export type Sessions = Collection<{ _id: string }>

export interface FaultyApp extends RunningApp, ProxiedMongoDB {
  /** Where the app's sessions are, reached without the proxy. */
  readonly collection: Sessions
  /** The same sessions, asked without the proxy, and with a limit that no busy machine reaches. */
  readonly patient: RunningApp
}

export interface FaultyOptions extends AppOptions {
  readonly client?: MongoClientOptions
  /** Alters what goes to the database and comes back. */
  readonly tap?: () => Tap
  readonly routes?: Record<string, Handler>
}

export const TIMEOUT = 1000

/** What a busy machine may add to it; far less than what anybody waits who waits for something else. */
export const TOLERANCE = 10_000

/** As an operator should set them: no wait of the driver is longer than the app's. */
const within = {
  serverSelectionTimeoutMS: TIMEOUT,
  connectTimeoutMS: TIMEOUT,
  waitQueueTimeoutMS: TIMEOUT,
} satisfies MongoClientOptions

const usual: Record<string, Handler> = {
  '/plain': () => 'plain',
  '/read': async ctx => ({ ...(await ctx.session()) }),
  '/write': ctx => ctx.session.set('name', 'Ada'),
  '/count': async ctx => (await ctx.session.inc('n')).n,
  '/sign-in': async ctx => (await ctx.session.regenerate({ keep: true })).id,
  '/sign-out': ctx => ctx.session.destroy(),
}

/** An app whose MongoDB server can be made to fail. */
export async function aFaultyApp(
  t: TestContext,
  { client, tap, routes, ...options }: FaultyOptions = {},
): Promise<FaultyApp> {
  const collection = aCollection<{ _id: string }>(t)
  const all = { ...usual, ...routes }
  const patient = await anApp(t, { ...options, timeout: TOLERANCE }, all)
  patient.sessions.collection = collection as MongoDBCollection
  const proxied = await aProxy(t, { ...within, monitorCommands: true, ...client }, tap)
  const running = await anApp(t, { timeout: TIMEOUT, ...options }, all)
  running.sessions.collection = proxied.behind(collection) as MongoDBCollection
  return { ...running, ...proxied, collection, patient }
}

/** Somebody whose session is stored, and whom the app has answered: a busy machine may take longer to begin than the app waits. */
export async function signedIn({ patient, visitor }: FaultyApp, path = '/write'): Promise<Visitor> {
  const beginning = patient.visitor()
  assert.equal((await beginning.get(path)).status, 200)
  const ada = visitor().withCookiesOf(beginning)
  await eventually(
    () => ada.get('/read'),
    ({ status }) => status === 200,
  )
  return ada
}

/** Milliseconds: who has waited so long waits in vain. */
const LONG = 60_000

/** Asks until the answer is the one that is waited for. */
export async function eventually<T>(ask: () => Promise<T>, isIt: (answer: T) => boolean): Promise<T> {
  for (const begun = performance.now(); ; ) {
    const answer = await ask()
    if (isIt(answer)) return answer
    if (performance.now() - begun > LONG) assert.fail(`still not what was waited for: ${inspect(answer)}`)
  }
}
