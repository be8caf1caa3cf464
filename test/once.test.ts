import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { forked } from './support/forked.ts'
import { kinds, type Place } from './support/places.ts'

const file = fileURLToPath(new URL('./support/once/process.ts', import.meta.url))

interface Answer {
  readonly token?: string
  readonly error?: string
}

for (const [name, { title, skip, place }] of Object.entries(kinds)) {
  suite(`three processes on ${title}`, { skip }, () => {
    test('produce a value once', async t => {
      const at = await place(t)
      const args = [name as Place['kind'], at.at, at.name]
      const origins = await Promise.all([0, 1, 2].map(() => forked(t, file, args)))
      for (const [title, run] of Object.entries(cases)) {
        await t.test(title, async () => run(await aVisitor(title, origins)))
      }
    })
  })
}

type Visitor = Awaited<ReturnType<typeof aVisitor>>

/** A visitor of them all, whose token has expired. */
async function aVisitor(visitor: string, origins: readonly string[]) {
  const response = await fetch(`${origins[1]}/in`)
  const cookie = response.headers.getSetCookie()[0]?.split(';')[0] ?? ''
  const get = async <Body>(index: number, path: string, query: string): Promise<Body> => {
    const url = `${origins[index % 3]}${path}?${new URLSearchParams({ visitor })}&${query}`
    return (await fetch(url, { headers: { cookie } })).json() as Promise<Body>
  }
  const ask = (index: number, query = '') => get<Answer>(index, '/', query)
  return {
    ask,
    all: (count: number, query?: string) =>
      Promise.all(Array.from({ length: count }, (_, index) => ask(index, query))),
    /** How often the processes have asked the provider. */
    async runs() {
      const answers = await Promise.all([0, 1, 2].map(index => get<{ runs: number }>(index, '/runs', '')))
      return answers.reduce((sum, answer) => sum + answer.runs, 0)
    },
  }
}

const cases: Record<string, (visitor: Visitor) => Promise<void>> = {
  async 'of 200 overlapping requests one asks the provider, and all get its token'({ all, runs }) {
    const answers = await all(200)
    assert.equal(new Set(answers.map(({ token }) => token)).size, 1, JSON.stringify(answers.slice(0, 5)))
    assert.match(answers[0]?.token ?? '', /^\d+\.1$/)
    assert.equal(await runs(), 1)
  },

  async 'with a provider that fails twice of three times, those who asked in vain may ask again'({
    all,
    ask,
  }) {
    const answers = await all(60, 'provider=recovers')
    for (const { error, token } of answers) if (!token) assert.equal(error, 'The provider is down')
    let token: string | undefined
    for (let tries = 0; token === undefined && tries < 9; tries++) {
      ;({ token } = await ask(tries, 'provider=recovers'))
    }
    assert.ok(token)
    assert.equal((await ask(1)).token, token)
  },

  async 'a provider that is down fails all'({ all, ask }) {
    for (const { error } of await all(30, 'provider=throws')) assert.equal(error, 'The provider is down')
    assert.ok((await ask(0)).token)
  },

  async 'with a provider that never answers another asks after the lease'({ ask, runs }) {
    let isOver = false
    const hanging = ask(0, 'provider=never&lease=500ms&wait=500ms').finally(() => {
      isOver = true
    })
    while (!isOver && (await runs()) === 0) {}
    const { token } = await ask(1)
    assert.ok(token)
    assert.equal((await hanging).error, 'SESSION_STORE_UNAVAILABLE')
    assert.equal((await ask(2)).token, token)
    assert.equal(await runs(), 2)
  },

  // The last, since that process is gone.
  async 'where the process that asks dies, another asks after the lease'({ ask }) {
    await assert.rejects(ask(0, 'provider=dies&lease=1s'))
    const [one, other] = await Promise.all([ask(1), ask(2)])
    assert.ok(one.token)
    assert.equal(one.token, other.token)
  },
}
