import assert from 'node:assert/strict'
import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import type { Context } from 'koa'
import { traceSessions } from '../example/telemetry.ts'
import { idOf } from '../src/ids.ts'
import { StoreUnavailableError } from '../src/index.ts'
import { anApp } from './support/app.ts'
import { altered, onEachStore } from './support/watchedstore.ts'

const VALUE = 'a value that is nobody’s business'

const exporter = new InMemorySpanExporter()
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
trace.setGlobalTracerProvider(
  new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
)

/** Each request in a span of its own, as OpenTelemetry's instrumentation of HTTP servers has it. */
const requests = trace.getTracer('requests')

const acts: Record<string, (ctx: Context) => unknown> = {
  '/begin': ctx => ctx.session.set('text', VALUE),
  '/write': ctx => ctx.session.set('text', VALUE).inc('n').push('list', VALUE),
  '/read': ctx => ctx.session(),
}

onEachStore(
  'OpenTelemetry has a span of each call to the store, in that of its request',
  async (t, watched) => {
    let down = false
    const store = altered(watched.store, () => {
      if (down) throw new StoreUnavailableError('It is down', 'none')
    })
    const { visitor } = await anApp(t, { store }, ctx =>
      requests.startActiveSpan(ctx.path, async span => {
        try {
          return await acts[ctx.path]?.(ctx)
        } finally {
          span.end()
        }
      }),
    )
    exporter.reset()
    const ada = visitor()
    const stop = traceSessions()
    t.after(stop)
    await ada.get('/begin')
    const [created, begin] = exporter.getFinishedSpans()
    const id = idOf(ada.jar.get('sid')?.split('.')[0] ?? '')
    assert.equal(created?.name, 'session insert')
    assert.deepEqual(
      begin?.events.map(({ name, attributes }) => [name, attributes]),
      [['session created', { 'session.id': id }]],
    )

    for (const path of ['/write', '/noop', '/read']) await ada.get(path)
    down = true
    await ada.get('/read')
    stop()
    await ada.get('/read')
    const told = (span: ReadableSpan) => ({ name: span.name, ...span.attributes, status: span.status })
    const calls = exporter.getFinishedSpans().filter(({ kind }) => kind === SpanKind.CLIENT)
    const [, update, load, failed, ...others] = calls
    assert.deepEqual(others, [])
    assert.deepEqual(update && told(update), {
      name: 'session update',
      'db.operation.name': 'update',
      'session.id': id,
      'session.operators': ['$set', '$inc', '$push'],
      'session.result': 'applied',
      status: { code: SpanStatusCode.UNSET },
    })
    const loading = { 'db.operation.name': 'load', 'session.id': id, 'session.operators': [] }
    assert.deepEqual(load && told(load), {
      name: 'session load',
      ...loading,
      'session.result': 'found',
      status: { code: SpanStatusCode.UNSET },
    })
    assert.deepEqual(failed && told(failed), {
      name: 'session load',
      ...loading,
      'error.type': 'StoreUnavailableError',
      status: { code: SpanStatusCode.ERROR, message: 'It is down' },
    })
    for (const call of calls) {
      const request = exporter
        .getFinishedSpans()
        .find(span => span.spanContext().spanId === call.parentSpanContext?.spanId)
      assert.equal(request?.kind, SpanKind.INTERNAL)
    }
    const everything = exporter.getFinishedSpans().map(span => JSON.stringify([span.attributes, span.events]))
    assert.ok(!everything.join().includes(VALUE))
  },
)
