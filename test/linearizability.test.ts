import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Store } from '../src/index.ts'
import { memoryStore } from '../src/stores/memory.ts'
import { startApp } from './support/linearizability/app.ts'
import { breakings, slow } from './support/linearizability/broken.ts'
import { Checker, type Step } from './support/linearizability/checker.ts'
import { forgetful } from './support/linearizability/forgetful.ts'
import { historyOf, type Plan } from './support/linearizability/history.ts'
import { judged } from './support/linearizability/judge.ts'
import { startProcesses } from './support/linearizability/processes.ts'
import { Random } from './support/linearizability/random.ts'
import { kinds, type Place } from './support/places.ts'

// LINEARIZABILITY_HISTORIES=50 LINEARIZABILITY_SEED=42 tsx test/run.ts test/linearizability.test.ts
// A seed determines what each client asks; when it is answered is up to the machine.

const HISTORIES = Number(process.env.LINEARIZABILITY_HISTORIES ?? 2)
const SEED = Number(process.env.LINEARIZABILITY_SEED ?? Date.now() % 1_000_000)

const CLIENTS = 16
/** How probable it is that the answer of a store is lost. */
const LOSING = 0.001
const OPERATIONS = 2000
const NEVER = Number.POSITIVE_INFINITY
/** So that a broken store's luck, at worst two tries in five, cannot pass for correctness. */
const MOST_TRIES = 20

/** One session for nearly all of its operations, or many that end one after another. */
const lasting = { operations: OPERATIONS, endings: [0, OPERATIONS - 60, 0.05] } as const
const ending = { operations: OPERATIONS, endings: [0.01, 0, 0.01] } as const

for (const [kind, { title, skip, place }] of Object.entries(kinds)) {
  test(`four processes and 16 clients change one session in an order that explains all (${title})`, {
    skip,
  }, async t => {
    const options = {
      place: { kind: kind as Place['kind'], ...(await place(t)) },
      seed: SEED,
      losing: LOSING,
    }
    await allExplained(t, await startProcesses(t, 4, options))
  })
}

test('sessions in memory, lost answers included, change in an order that explains all', async t => {
  const store = forgetful(slow(memoryStore()), new Random(SEED), LOSING)
  const origins = [await anApp(t, store)]
  await explained(t, { ...ending, seed: SEED, clients: CLIENTS, origins })
})

for (const [what, breaking] of Object.entries(breakings)) {
  test(`a store that ${what} is found out`, async t => {
    for (let attempt = 0; attempt < MOST_TRIES; attempt++) {
      const seed = SEED + attempt
      const origins = [await anApp(t, breaking(memoryStore(), new Random(seed)))]
      const history = await historyOf({
        seed,
        clients: 6,
        operations: 500,
        endings: [0.03, 0, 0.03],
        origins,
      })
      const [failure] = judged(history).failures
      if (failure === undefined) continue
      assert.doesNotMatch(failure, /No order was found in/)
      return
    }
    assert.fail(`LINEARIZABILITY_SEED=${SEED}: nobody noticed`)
  })
}

const small: Record<string, { isExplained: boolean; steps: Step<number>[] }> = {
  'a read may see a write that is under way': {
    isExplained: true,
    steps: [writing(1, 0, 9), reading(0, 1, 2), reading(1, 3, 4)],
  },
  'no read may see a write undone': {
    isExplained: false,
    steps: [writing(1, 0, 9), reading(1, 1, 2), reading(0, 3, 4)],
  },
  'an answered write has happened': { isExplained: false, steps: [writing(1, 0, 1), reading(0, 2, 3)] },
  'an unanswered write may happen late': {
    isExplained: true,
    steps: [trying(1, 0, NEVER), reading(0, 2, 3), reading(1, 4, 5)],
  },
  'an unanswered write may not happen at all': {
    isExplained: true,
    steps: [trying(1, 0, NEVER), reading(0, 2, 3)],
  },
  'an unanswered write happens no more than once': {
    isExplained: false,
    steps: [trying(1, 0, NEVER), writing(2, 1, 2), reading(1, 3, 4), writing(3, 5, 6), reading(1, 7, 8)],
  },
  'a write whose answer was lost may have happened': {
    isExplained: true,
    steps: [trying(1, 0, 1), reading(1, 2, 3)],
  },
  'a write whose answer was lost may not have happened': {
    isExplained: true,
    steps: [trying(1, 0, 1), reading(0, 2, 3)],
  },
  'a write whose answer was lost does not happen later': {
    isExplained: false,
    steps: [trying(1, 0, 1), reading(0, 2, 3), reading(1, 4, 5)],
  },
  'a write whose answer was lost may have come before a read that does not show it': {
    isExplained: true,
    steps: [trying(1, 0, 1), { ...reading(0, 2, 3), next: state => state }, reading(1, 4, 5)],
  },
  'the steps of one request come in their order': {
    isExplained: false,
    steps: inOrder(reading(1), writing(1)),
  },
  'nothing that is not under way comes between two requests': {
    isExplained: false,
    steps: [writing(1, 0, 3), writing(2, 1, 4), reading(1, 5, 6), reading(2, 7, 8)],
  },
}

for (const [title, { isExplained, steps }] of Object.entries(small)) {
  test(`checker: ${title}`, () => {
    const failure = new Checker(steps, String, () => 0).check(0)
    assert.equal(failure === undefined, isExplained, failure?.reason)
  })
}

function writing(value: number, begun = 0, answered = 1): Step<number> {
  const shown = `write ${value}`
  return { highestRank: 0, begun, answered, isDoubtful: false, isSilent: false, shown, next: () => value }
}

/** A write of which nobody was told whether it happened. */
function trying(value: number, begun: number, answered: number): Step<number> {
  return { ...writing(value, begun, answered), isDoubtful: true }
}

function reading(value: number, begun = 0, answered = 1): Step<number> {
  const next = (state: number) => (state === value ? state : undefined)
  return { highestRank: 0, begun, answered, isDoubtful: false, isSilent: true, shown: `read ${value}`, next }
}

function inOrder(first: Step<number>, second: Step<number>): Step<number>[] {
  return [first, { ...second, after: first }]
}

async function anApp(t: TestContext, store: Store): Promise<string> {
  const { origin, close } = await startApp(store)
  t.after(close)
  return origin
}

async function allExplained(t: TestContext, origins: readonly string[]): Promise<void> {
  for (let index = 0; index < HISTORIES; index++) {
    const course = index % 2 === 0 ? lasting : ending
    await explained(t, { ...course, seed: SEED + index, clients: CLIENTS, origins })
  }
}

async function explained(t: TestContext, plan: Plan): Promise<void> {
  const begun = performance.now()
  const history = await historyOf(plan)
  const recorded = performance.now()
  const { failures, sessions, attempts } = judged(history)
  const [recording, judging] = [recorded - begun, performance.now() - recorded].map(Math.round)
  t.diagnostic(`${sessions} sessions recorded in ${recording} ms; ${attempts} attempts in ${judging} ms`)
  assert.equal(failures.length, 0, `LINEARIZABILITY_SEED=${plan.seed}\n${failures[0]}`)
}
