import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import { tracingChannel } from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'
import { calculateObjectSize } from 'bson'
// In your app: import type { StoreCall } from 'koa-atomic-session'
import type { StoreCall } from '../../src/index.ts'
import type { OrdinaryCall } from './ordinary.ts'

/** One call to a store, as the timeline shows it. */
export interface Command {
  /** The number of the request that it was made for. */
  readonly request: number
  readonly method: string
  readonly operators: readonly string[]
  /** When it began, in milliseconds of `performance.now()`. */
  readonly began: number
  readonly milliseconds: number
  /** What went to the store and what came back, as BSON. */
  readonly bytes: number
  readonly result: string
}

/** One call to the OAuth provider. */
export interface Refresh {
  readonly request: number
  readonly began: number
  readonly milliseconds: number
  readonly isRejected: boolean
}

type Call = StoreCall | OrdinaryCall

interface Note {
  readonly recording: Recording
  readonly request: number
  readonly began: number
  bytes: number
}

const recordings = new Map<string, Recording>()
/** The request that is being served, if it is recorded, and the call to the store that is being made. */
const serving = new AsyncLocalStorage<Pick<Note, 'recording' | 'request'>>()
const calling = new AsyncLocalStorage<Call>()
const notes = new WeakMap<Call, Note>()

for (const name of ['koa-atomic-session:store', 'ordinary-session:store']) {
  const calls = tracingChannel<Call, Call>(name)
  calls.start.bindStore(calling, call => call)
  calls.subscribe({
    start(call) {
      const request = serving.getStore()
      if (request) notes.set(call, { ...request, began: performance.now(), bytes: 0 })
    },
    end() {},
    asyncStart() {},
    asyncEnd(call) {
      const note = notes.get(call)
      if (!note) return
      const { method, operators, milliseconds = 0 } = call
      const result = call.error ? 'failed' : typeof call.result === 'string' ? call.result : 'done'
      const { recording, ...noted } = note
      recording.commands.push({ ...noted, method, operators, milliseconds, result })
    },
    error() {},
  })
}

/** What was asked for certain requests: of the store, from the diagnostics channels, and of the provider. */
export class Recording {
  readonly commands: Command[] = []
  readonly refreshes: Refresh[] = []
  readonly #id = randomUUID()

  constructor() {
    recordings.set(this.#id, this)
  }

  /** What a request carries in order to be recorded. */
  headers(request: number): Record<string, string> {
    return { 'X-Recording': this.#id, 'X-Request': String(request) }
  }

  stop(): void {
    recordings.delete(this.#id)
  }
}

/** Serves a request, recorded if it asks for that. */
export function recorded({ headers }: IncomingMessage, serve: () => void): void {
  const recording = recordings.get(String(headers['x-recording']))
  if (recording) serving.run({ recording, request: Number(headers['x-request']) }, serve)
  else serve()
}

export function noteRefresh(refresh: Omit<Refresh, 'request'>): void {
  const { recording, request } = serving.getStore() ?? {}
  if (recording && request) recording.refreshes.push({ ...refresh, request })
}

/** The same store, whose arguments and answers are measured for the call that is being recorded. */
export function measured<T extends object>(store: T): T {
  return new Proxy(store, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name)
      if (typeof method !== 'function') return method
      return (...sent: unknown[]) => {
        const answer: unknown = method.apply(target, sent)
        const call = calling.getStore()
        const note = call && notes.get(call)
        if (!note || !(answer instanceof Promise)) return answer
        return answer.then(received => {
          note.bytes = calculateObjectSize({ sent, received })
          return received
        })
      }
    },
  })
}
