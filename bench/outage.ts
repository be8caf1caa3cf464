import { randomUUID } from 'node:crypto'
import { Agent, request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { AppProcess } from '../test/chaos/app.ts'
import { median } from '../test/support/median.ts'
import { startMongoDB } from '../test/support/mongodb/server.ts'

// How fast routes that use no session are served while the store is down, beside the same app with its store, in turns.
// Beside them, visitors ask for their sessions at the same rate in both.

const TURNS = Number(process.argv[2] ?? 10)
const TURN = 2000
const CLIENTS = 16
/** Milliseconds between two requests for a session. */
const PACE = 20

const server = await startMongoDB()
if (!server) throw new Error('There is no MongoDB server')
const place = { store: 'mongodb', uri: server.uri, collection: `outage_${randomUUID()}` } as const
const app = await AppProcess.on(place)
const agent = new Agent({ keepAlive: true })
try {
  await app.start(0)
  const turns: Record<'up' | 'down', number[]> = { up: [], down: [] }
  const refusals: number[] = []
  await turn()
  for (let index = 0; index < TURNS; index++) {
    turns.up.push(await turn())
    await app.proxy?.refuse()
    // Until it is known.
    await Promise.all([1, 2, 3].map(() => ask('/count')))
    turns.down.push(await turn())
    for (let time = 0; time < 20; time++) refusals.push(await timeOf(ask('/count')))
    await app.proxy?.heal()
    await back()
  }
  const ratios = turns.up.map((up, index) => (turns.down[index] ?? Number.NaN) / up)
  console.log(
    `with its store ${median(turns.up).toFixed(0)} a second, without ${median(turns.down).toFixed(0)}`,
  )
  console.log(`speed without the store: ${(100 * median(ratios)).toFixed(1)} % (median of ${TURNS} turns)`)
  console.log(
    `a session that is known to be unavailable is refused in ${median(refusals).toFixed(2)} ms (median)`,
  )
} finally {
  agent.destroy()
  await app.close()
  await server.stop()
}

/** How many requests without a session are served in a second. */
async function turn(): Promise<number> {
  const end = performance.now() + TURN
  let served = 0
  const plain = Array.from({ length: CLIENTS }, async () => {
    while (performance.now() < end) {
      await ask('/plain')
      served++
    }
  })
  const besides: Promise<unknown>[] = []
  while (performance.now() < end) {
    besides.push(ask('/count'))
    await delay(PACE)
  }
  await Promise.all([...plain, ...besides])
  return (1000 * served) / TURN
}

async function timeOf(asked: Promise<unknown>): Promise<number> {
  const begun = performance.now()
  await asked
  return performance.now() - begun
}

async function back(): Promise<void> {
  while ((await ask('/count')) !== 200) await delay(PACE)
}

function ask(path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(`${app.origin}${path}`, { agent }, response => {
      response.resume().once('end', () => resolve(response.statusCode))
    })
      .once('error', reject)
      .end()
  })
}
