import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StoreUnavailableError } from '../../src/index.ts'
import type { Handler } from '../support/app.ts'
import { aFaultyApp, eventually, type FaultyApp, signedIn, TIMEOUT, TOLERANCE } from '../support/faultyapp.ts'
import { withoutMongoDB } from '../support/mongodb/collection.ts'
import type { Answer } from '../support/visitor.ts'

const skip = withoutMongoDB

async function countIn({ collection }: FaultyApp): Promise<unknown> {
  const [document] = await collection.find().toArray()
  return (document as { data?: { n?: unknown } } | undefined)?.data?.n
}

test('a store that is slow is waited for no longer than the timeout, and its late answer is ignored', {
  skip,
}, async t => {
  const app = await aFaultyApp(t)
  const ada = await signedIn(app, '/count')
  app.proxy.slowDown(30_000)
  for (const [path, outcome] of [
    ['/count', 'unknown'],
    ['/read', 'none'],
  ] as const) {
    const begun = performance.now()
    const { status, headers, setCookies } = await ada.get(path)
    const took = performance.now() - begun
    assert.equal(status, 503)
    assert.match(headers['retry-after'] ?? '', /^\d+$/)
    assert.deepEqual(setCookies, [])
    assert.ok(took > TIMEOUT - 50 && took < TIMEOUT + TOLERANCE, `${took} ms`)
    const error = app.errors.at(-1)
    assert.ok(error instanceof StoreUnavailableError)
    assert.equal(error.outcome, outcome)
  }
  await app.proxy.heal()
  // Which is why its outcome was not known.
  await eventually(
    () => countIn(app),
    n => n === 2,
  )
  await eventually(
    () => ada.get('/read'),
    ({ status }) => status === 200,
  )
  // Not by the app itself, which may again count and not be answered in time.
  const { json } = await app.patient.visitor().withCookiesOf(ada).get('/count')
  assert.equal(json, 3)
})

test('of 1000 changes at once on a pool of 5 connections each is made, refused or unknown, in time', {
  skip,
}, async t => {
  const times: number[] = []
  const timedCount: Handler = async ctx => {
    const begun = performance.now()
    try {
      await ctx.session.inc('n')
    } finally {
      times.push(performance.now() - begun)
    }
  }
  const app = await aFaultyApp(t, { client: { maxPoolSize: 5 }, routes: { '/timed': timedCount } })
  const ada = await signedIn(app, '/count')
  app.proxy.slowDown(50)
  const answers: Answer[] = []
  // On a busy machine, none of the first 1000 may be answered in time.
  await eventually(
    async () => {
      answers.push(...(await Promise.all(Array.from({ length: 1000 }, () => ada.get('/timed')))))
      return answers.map(({ status }) => status)
    },
    statuses => statuses.includes(200),
  )
  assert.equal(times.length, answers.length)
  assert.ok(Math.max(...times) < TIMEOUT + TOLERANCE, `${Math.max(...times)} ms`)
  const done = answers.filter(({ status }) => status === 200).length
  assert.ok(done > 0)
  for (const { status } of answers) assert.ok(status === 200 || status === 503, `${status}`)
  await app.proxy.heal()
  const { json } = await eventually(
    () => ada.get('/count'),
    ({ status }) => status === 200,
  )
  const outcomes = app.errors.map(error => (error as StoreUnavailableError).outcome)
  const unknown = outcomes.filter(outcome => outcome === 'unknown').length
  const n = json as number
  assert.ok(2 + done <= n && n <= 2 + done + unknown, `${n} with ${done} done, ${unknown} unknown`)
})
