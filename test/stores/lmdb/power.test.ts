import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Durability } from '../../../src/stores/lmdb/meta.ts'
import { aSession, fieldsOf } from '../../contract/records.ts'
import { Random } from '../../support/linearizability/random.ts'
import { builtStore, counterProgram } from '../../support/lmdb/counter.ts'
import { aPath, aStore } from '../../support/lmdb/files.ts'
import { Disk, stepsOf } from '../../support/lmdb/power.ts'

const COUNTS = 30
/** What each change writes besides its count, characters: several pages. */
const SIZE = 3000
const SEED = Number(process.env.POWER_SEED ?? Date.now() % 1_000_000)
const random = new Random(SEED)

const withoutStrace =
  spawnSync('strace', ['-o', '/dev/null', 'true']).status !== 0 &&
  'NOT TESTED: the loss of power, for want of strace'

type Counting = Awaited<ReturnType<typeof counting>>

/** What a process did that counted to `COUNTS` in a file, and the file as it was before. */
async function counting(t: TestContext, durability: Durability) {
  const path = aPath(t)
  const store = aStore(t, path, { durability })
  const { id } = await aSession(store, { n: 0 })
  await store.close()
  const before = readFileSync(path)
  const log = join(dirname(path), 'log')
  mkdirSync(log)
  const program = counterProgram(builtStore('lmdb-power'), path, id, {
    size: SIZE,
    durability,
    until: COUNTS,
  })
  return { id, before, steps: await stepsOf(program, path, log) }
}

/** Says after which of the steps the loss of power would lose an acknowledged change, or the file. */
async function losses(t: TestContext, { id, before, steps }: Counting, survival: () => number) {
  const disk = new Disk(before)
  const found: string[] = []
  let acknowledged = 0
  for (const [index, step] of steps.entries()) {
    disk.take(step)
    if (step.does === 'tell') acknowledged = Number(step.text)
    const path = aPath(t)
    const share = survival()
    writeFileSync(
      path,
      disk.afterPowerLoss(() => random.chance(share)),
    )
    const n = await countIn(t, path, id).catch(String)
    if (n !== acknowledged && n !== acknowledged + 1) found.push(`step ${index}: ${n} after ${acknowledged}`)
  }
  assert.equal(acknowledged, COUNTS)
  return found
}

async function countIn(t: TestContext, path: string, id: string): Promise<unknown> {
  const store = aStore(t, path)
  try {
    return (await fieldsOf(store, id)).n
  } finally {
    await store.close()
  }
}

test("with durability 'disk' the loss of power loses nothing acknowledged", {
  skip: withoutStrace,
}, async t => {
  const done = await counting(t, 'disk')
  const found = await losses(t, done, () => random.fraction())
  assert.deepEqual(found, [], `POWER_SEED=${SEED}`)
  t.diagnostic(`seed ${SEED}: power lost after each of ${done.steps.length} steps`)
})

test("with durability 'process' it may lose all that the kernel had not flushed", {
  skip: withoutStrace,
}, async t => {
  const done = await counting(t, 'process')
  const found = await losses(t, done, () => 0)
  assert.match(found.at(-1) ?? '', new RegExp(`: 0 after ${COUNTS}$`))
})
