import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import { type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
// In your app: import type { LifecycleEvent, StoreCall } from 'koa-atomic-session'
import type { LifecycleEvent, StoreCall } from '../src/index.ts'

/**
 * OpenTelemetry: a span for each call to the session store, within the span of the request that made it, and what happens
 * to sessions as events of that request's span; until the function returned is called. Ids are hashes, and nothing of
 * what sessions hold is told.
 */
export function traceSessions(): () => void {
  const tracer = trace.getTracer('koa-atomic-session')
  const spans = new WeakMap<object, Span>()
  const listeners = {
    start(call: StoreCall) {
      const attributes = {
        'db.operation.name': call.method,
        ...(call.id !== undefined && { 'session.id': call.id }),
        'session.operators': [...call.operators],
      }
      spans.set(call, tracer.startSpan(`session ${call.method}`, { kind: SpanKind.CLIENT, attributes }))
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
      span?.setStatus({ code: SpanStatusCode.ERROR, message })
    },
  }
  const happened = (event: unknown) => {
    const { type, ...rest } = event as LifecycleEvent
    trace.getActiveSpan()?.addEvent(`session ${type}`, 'id' in rest ? { 'session.id': rest.id } : {})
  }
  const calls = tracingChannel<'koa-atomic-session:store', StoreCall>('koa-atomic-session:store')
  calls.subscribe(listeners)
  subscribe('koa-atomic-session:lifecycle', happened)
  return () => {
    calls.unsubscribe(listeners)
    unsubscribe('koa-atomic-session:lifecycle', happened)
  }
}
