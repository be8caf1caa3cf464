import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { TestContext } from 'node:test'
import type { LifecycleEvent } from '../../src/index.ts'

/** What is published while the test runs. */
export function lifecycle(t: TestContext): LifecycleEvent[] {
  const events: LifecycleEvent[] = []
  const listen = (event: unknown) => void events.push(event as LifecycleEvent)
  subscribe('koa-atomic-session:lifecycle', listen)
  t.after(() => unsubscribe('koa-atomic-session:lifecycle', listen))
  return events
}
