import { tracingChannel } from 'node:diagnostics_channel'
// In your app: import type { StoreCall } from 'koa-atomic-session'
import type { StoreCall } from '../src/index.ts'

/**
 * What of OpenTelemetry's API is used here, so that this example needs no package: give it the real thing,
 *
 *     import { trace } from '@opentelemetry/api'
 *     const stop = traceSessions(trace.getTracer('koa-atomic-session'))
 */
export interface Tracer {
  startSpan(name: string, options: { kind: number; attributes: Attributes }): Span
}

export interface Span {
  setAttribute(name: string, value: string | number): unknown
  setStatus(status: { code: number; message?: string }): unknown
  end(): void
}

export type Attributes = Record<string, string | readonly string[]>

/** `SpanKind.CLIENT` and `SpanStatusCode.ERROR` of `@opentelemetry/api`. */
const CLIENT = 2
const ERROR = 2

/**
 * A span for each call to the session store, within the span of the request that made it, until the function returned is
 * called. Ids are hashes, and nothing of what sessions hold is told.
 */
export function traceSessions(tracer: Tracer): () => void {
  const spans = new WeakMap<object, Span>()
  const listeners = {
    start(call: StoreCall) {
      const attributes = {
        'db.operation.name': call.method,
        'session.id': call.id,
        'session.operators': call.operators,
      }
      spans.set(call, tracer.startSpan(`session ${call.method}`, { kind: CLIENT, attributes }))
    },
    end() {},
    asyncStart() {},
    asyncEnd(call: StoreCall) {
      const span = spans.get(call)
      if (call.result !== undefined) span?.setAttribute('session.result', call.result)
      span?.end()
    },
    error(call: StoreCall) {
      const { name, message } = call.error instanceof Error ? call.error : new Error(String(call.error))
      const span = spans.get(call)
      span?.setAttribute('error.type', name)
      span?.setStatus({ code: ERROR, message })
    },
  }
  const calls = tracingChannel<'koa-atomic-session:store', StoreCall>('koa-atomic-session:store')
  calls.subscribe(listeners)
  return () => calls.unsubscribe(listeners)
}
