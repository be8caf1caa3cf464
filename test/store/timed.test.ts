import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { test } from 'node:test'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { StoreUnavailableError } from '../../src/errors.ts'
import type { Store } from '../../src/index.ts'
import { timed } from '../../src/store/timed.ts'
import { memoryStore } from '../../src/stores/memory.ts'

/** Never answers about the id `'never'`. */
function aStore(): Store {
  const store = memoryStore()
  const load = (id: string) => (id === 'never' ? new Promise<never>(() => {}) : store.load(id))
  return Object.assign(Object.create(store), { load })
}

test('each of overlapping calls is waited for as long, whatever becomes of others', async () => {
  const ms = 100
  const store = aStore()
  const line = timed(() => store, ms)
  const ended: number[] = []
  const calls = Array.from({ length: 10 }, async (_, index) => {
    await setTimeout(index * 15)
    const begun = performance.now()
    assert.equal(await line.load('any'), undefined)
    const failure = await line.load('never').catch((error: unknown) => error)
    assert.ok(failure instanceof StoreUnavailableError)
    ended.push(index)
    return performance.now() - begun
  })
  const took = await Promise.all(calls)
  assert.deepEqual(
    ended,
    took.map((_, index) => index),
  )
  for (const each of took) assert.ok(each >= ms - 1 && each < 100 * ms, `${each} ms`)
})

test('a call that comes long after another is waited for as long', async () => {
  const ms = 100
  const store = aStore()
  const line = timed(() => store, ms)
  await line.load('any')
  await setTimeout(ms * 0.6)
  const begun = performance.now()
  await assert.rejects(line.load('never'), StoreUnavailableError)
  assert.ok(performance.now() - begun >= ms - 1)
  await assert.rejects(line.load('never'), StoreUnavailableError)
  assert.ok(performance.now() - begun >= 2 * ms - 2)
})

test('an answer that has come is taken, however late the process is to read it', async () => {
  const ms = 100
  const load = async () => void (await stat('.'))
  const store = Object.assign(aStore(), { load })
  const line = timed(() => store, ms)
  // What the event loop turns to next is timers, and only then what is to be read.
  await setImmediate()
  const answer = line.load('any')
  const until = performance.now() + 3 * ms
  while (performance.now() < until);
  assert.equal(await answer, undefined)
})

test('a process lives on for a call under way, and not for those that have been answered', async () => {
  const script = (id: string, ms: number) => `
    const { timed } = await import('./src/store/timed.ts')
    const never = new Promise(() => {})
    const line = timed(() => ({ load: id => (id === 'never' ? never : Promise.resolve()) }), ${ms})
    await line.load('any')
    await line.load('${id}').catch(({ outcome }) => console.log(outcome))
    console.log('end')`
  const run = async (id: string, ms: number) => {
    const args = ['--import', 'tsx', '--input-type=module', '--eval', script(id, ms)]
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 })
    return stdout.trim()
  }
  assert.equal(await run('any', 600_000), 'end')
  assert.equal(await run('never', 50), 'none\nend')
})
