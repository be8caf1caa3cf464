import assert from 'node:assert/strict'
import { presentedIn } from '../../src/http/cookie-value.ts'
import { Keys } from '../../src/http/keys.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { anApp, KEY, onEachStore, test } from '../support/frameworks.ts'
import { median } from '../support/median.ts'
import type { Visitor } from '../support/visitor.ts'
import { watched } from '../support/watchedstore.ts'

const SESSIONS = 10_000
const BITS = 160

test('10,000 secrets are all different, and no bit of them can be foretold', async t => {
  const { visitor } = await anApp(t, { store: memoryStore() }, ctx => ctx.session.set('n', 1))
  const secrets: string[] = []
  const visits = async (one: Visitor) => {
    while (secrets.length < SESSIONS) {
      one.jar.clear()
      await one.get('/')
      secrets.push(one.jar.get('sid')?.split('.')[0] ?? '')
    }
  }
  await Promise.all(Array.from({ length: 20 }, () => visits(visitor())))
  for (const secret of secrets) assert.match(secret, /^[0-9a-f]{40}$/)
  assert.equal(new Set(secrets).size, secrets.length)
  // Of 160 fair coins thrown 10,000 times each, one is beyond 6 standard deviations once in 3 million runs.
  for (let bit = 0; bit < BITS; bit++) {
    const ones = secrets.filter(secret => isSet(secret, bit)).length
    assert.ok(Math.abs(ones / SESSIONS - 0.5) < 0.03, `bit ${bit} is set in ${ones} of ${SESSIONS}`)
  }
  const alike = secrets.filter((secret, index) => secret.slice(0, 8) === secrets[index - 1]?.slice(0, 8))
  assert.deepEqual(alike, [])
})

function isSet(secret: string, bit: number): boolean {
  return ((Number.parseInt(secret[bit >> 2] ?? '', 16) >> (bit & 3)) & 1) === 1
}

test('how long a wrong signature takes to be refused does not tell where it is wrong', () => {
  const keys = new Keys([KEY])
  const payload = `${'ab'.repeat(20)}.${Date.now().toString(36)}.${(86_400_000).toString(36)}`
  const right = keys.sign(`sid=${payload}`)
  // Also where the right one has been seen before.
  assert.ok(presentedIn(`sid=${payload}.${right}`, 'sid', keys))
  const other = (character: string | undefined) => (character === 'A' ? 'B' : 'A')
  const wrong = [other(right[0]) + right.slice(1), right.slice(0, -2) + other(right.at(-2)) + right.slice(-1)]
  const took: [number[], number[]] = [[], []]
  for (let times = 0; times < 20_000; times++) {
    // The two in turn, and either first as often, so that whatever else the machine does meets both.
    for (const which of times % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      const begun = process.hrtime.bigint()
      assert.equal(presentedIn(`sid=${payload}.${wrong[which]}`, 'sid', keys), undefined)
      took[which].push(Number(process.hrtime.bigint() - begun))
    }
  }
  const [first, last] = took.map(median) as [number, number]
  assert.ok(Math.abs(first / last - 1) < 0.1, `medians of ${first} and ${last} ns`)
})

onEachStore('a session keeps its id, however often it is changed', async (t, { store }) => {
  const { visitor } = await anApp(t, { store }, ctx => ctx.session.inc('n'))
  const ada = visitor()
  await ada.get('/')
  const before = ada.jar.get('sid')
  for (let n = 2; n <= 10; n++) assert.deepEqual((await ada.get('/')).json, { n })
  assert.equal(ada.jar.get('sid'), before)
})

test('10,000 sign-outs and readings with cookies that are nobody’s store nothing', async t => {
  const { store, records, calls } = watched(memoryStore())
  const keys = new Keys([KEY])
  const { visitor, errors } = await anApp(t, { store }, async ctx => {
    if (ctx.path === '/logout') return ctx.session.destroy()
    return { ...(await ctx.session()) }
  })
  const eve = visitor()
  for (let times = 0; times < 10_000; times += 100) {
    const asked = Array.from({ length: 100 }, (_, index) => {
      const payload = `${(times + index).toString(16).padStart(40, '0')}.${Date.now().toString(36)}.zzzz`
      const signature = index % 2 === 0 ? keys.sign(`sid=${payload}`) : 'A'.repeat(43)
      return eve.get(index % 4 < 2 ? '/logout' : '/dump', { Cookie: `sid=${payload}.${signature}` })
    })
    for (const { status } of await Promise.all(asked)) assert.ok(status < 300)
  }
  assert.deepEqual(await records(), [])
  assert.equal(calls.includes('insert'), false)
  assert.deepEqual(errors, [])
})
