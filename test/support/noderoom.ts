import { EventEmitter } from 'node:events'
import { type IncomingMessage, ServerResponse } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { Framework } from '../../src/http/exchange.ts'
import { keysOf } from '../../src/http/keys.ts'
import { NodeExchange, watchHeaders } from '../../src/http/node-exchange.ts'
import { type SessionOptions, settingsOf } from '../../src/http/options.ts'
import type { Using } from '../../src/http/requests.ts'
import { Sessions } from '../../src/http/sessions.ts'
import { type MongoDBCollection, mongoStore, type SessionHandle, type Untyped } from '../../src/index.ts'
import { whileReporting } from '../../src/reports.ts'

// Sessions for Node's own http server: what the room of a framework has to be, and no more.

/** What `Session(app)` is given elsewhere. Its event `error` tells of failures. */
export class NodeApp extends EventEmitter {
  keys: unknown
  /** Whether a proxy's `X-Forwarded-…` is believed. */
  proxy = false

  report(error: unknown): void {
    whileReporting(() => this.emit('error', error))
  }
}

/** What a handler gets. */
export class NodeContext implements Using {
  readonly app: NodeApp
  readonly req: IncomingMessage
  readonly res: ServerResponse
  /** What a body parser has read. */
  body: unknown
  declare readonly session: SessionHandle<Untyped>;
  [used: symbol]: Using[symbol]

  constructor(app: NodeApp, req: IncomingMessage, res: ServerResponse) {
    this.app = app
    this.req = req
    this.res = res
  }

  get path(): string {
    return this.req.url?.split('?')[0] ?? ''
  }

  /** A header that a trusted proxy sets; the first value, which is of the proxy next to the visitor. */
  forwarded(name: string): string | undefined {
    return this.app.proxy ? this.req.headers[name]?.toString().split(',')[0]?.trim() : undefined
  }
}

class PlainExchange extends NodeExchange {
  readonly #ctx: NodeContext

  constructor(ctx: NodeContext) {
    super(ctx.req, ctx.res)
    this.#ctx = ctx
  }

  get method(): string {
    return this.#ctx.req.method ?? ''
  }

  get path(): string {
    return this.#ctx.path
  }

  get isSecure(): boolean {
    const isByTLS = (this.#ctx.req.socket as TLSSocket).encrypted
    return isByTLS || this.#ctx.forwarded('x-forwarded-proto') === 'https'
  }

  get host(): string {
    return this.givenHost
  }

  get givenHost(): string {
    return this.#ctx.forwarded('x-forwarded-host') ?? this.#ctx.req.headers.host ?? ''
  }

  get body(): unknown {
    return this.#ctx.body
  }

  report(error: unknown): void {
    this.#ctx.app.report(error)
  }
}

/** Called for each request that passes; throws for one that does not. */
type Guard = (ctx: NodeContext) => void

export type NodeSessions = Sessions<Untyped, MongoDBCollection, unknown, NodeContext, Guard>

export function nodeSessions(
  app: NodeApp,
  options: SessionOptions<Untyped, string, NodeContext>,
): NodeSessions {
  const settings = settingsOf(options, property => property in NodeContext.prototype)
  const framework: Framework<NodeContext, Guard> = {
    settings,
    keys: keysOf(app),
    exchangeOf: ctx => new PlainExchange(ctx),
    watchHeaders: ctx => watchHeaders(ctx.res),
    contextOf: request => new NodeContext(app, request, new ServerResponse(request)),
    handle: `ctx.${settings.property}`,
    unseen: `ctx.${settings.property} was used in a request that sessions.requests does not serve`,
    adopt: options.adopt,
    guarding: guard => guard,
    report: error => app.emit('error', error),
  }
  return new Sessions((collection: MongoDBCollection) => mongoStore({ collection }), framework, options.store)
}
