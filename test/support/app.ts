import { type EventEmitter, once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { bodyParser } from '@koa/bodyparser'
import Koa from 'koa'
import Session, { type CSRFOptions, type SessionOptions } from '../../src/index.ts'
import { noteTold } from './leaks.ts'
import { answering, type Handler, type Routes } from './routes.ts'
import { unhurried } from './unhurried.ts'
import { Visitor } from './visitor.ts'

export { answering, type Handler, type Routes }

export interface AppOptions extends SessionOptions {
  /** With it, all routes are behind the guard, which is behind a body parser. */
  csrf?: CSRFOptions
  /** `null` leaves the app without any. */
  keys?: string[] | null
  /** Prepares the app before it has sessions. */
  prepare?: (app: Koa) => void
}

export interface RunningApp {
  readonly app: Koa
  readonly sessions: ReturnType<typeof Session>
  readonly url: string
  /** What the app's `error` event told, in order. */
  readonly errors: unknown[]
  /** A visitor with an empty cookie jar. */
  visitor(): Visitor
}

export const KEY = 'a key that is known to the tests only, and long enough'

/** The store's time limit where a test gives none, so that a busy machine does not decide a test that is about something else. */
export const PATIENCE = '1m'

/** An app with sessions, listening on a free port of the loopback interface until the test ends. */
export async function anApp(
  t: TestContext,
  { keys = [KEY], prepare, csrf, ...options }: AppOptions,
  routes: Routes,
): Promise<RunningApp> {
  const app = new Koa()
  if (keys) app.keys = keys
  prepare?.(app)
  const sessions = Session(app, { timeout: PATIENCE, ...options })
  if (csrf) app.use(bodyParser()).use(sessions.csrf(csrf))
  app.use(answering(routes))
  return { app, sessions, ...(await listening(t, app)) }
}

/** Visitors who come at once. Of more than wait to be accepted, the system resets some on a busy machine; by default 511 may wait. */
const CROWD = 2048

/** Any app, listening until the test ends. */
export async function listening(
  t: TestContext,
  app: EventEmitter & { callback(): RequestListener },
): Promise<Pick<RunningApp, 'url' | 'errors' | 'visitor'>> {
  const errors: unknown[] = []
  app.on('error', error => {
    errors.push(error)
    noteTold(error)
  })
  const server = createServer(unhurried, app.callback()).listen({
    port: 0,
    host: '127.0.0.1',
    backlog: CROWD,
  })
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const visitors: Visitor[] = []
  t.after(async () => {
    for (const visitor of visitors) visitor.leave()
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  return {
    url,
    errors,
    visitor() {
      const visitor = new Visitor(url)
      visitors.push(visitor)
      return visitor
    },
  }
}
