import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { decode } from '../../../src/stores/bson.ts'
import { loadDriver } from '../../../src/stores/sqlite/driver.ts'
import type { Durability } from '../../../src/stores/sqlite/form.ts'
import { aSession } from '../../contract/records.ts'
import { Random } from '../../support/linearizability/random.ts'
import { builtStore, counterProgram } from '../../support/sqlite/counter.ts'
import { aPath, aStore } from '../../support/sqlite/files.ts'
import { FileOnDisk, stepsOf } from '../../support/sqlite/power.ts'

/** Enough for the log to be brought into the file several times. */
const COUNTS = 400
/** What each change writes besides its count, characters: several pages. */
const SIZE = 5000
/** Of the steps, after how many of them power is lost. */
const SHARE = 0.08
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
  const program = counterProgram(builtStore(), path, id, {
    size: SIZE,
    durability,
    until: COUNTS,
  })
  return { id, before, steps: await stepsOf(program, path, log) }
}

interface Found {
  readonly step: number
  readonly acknowledged: number
  /** What was counted to, or what is wrong with the file. */
  readonly n: number | string
}

/** What is found where power is lost, after many of the steps. Of what was not flushed, `survival` survives. */
function found(t: TestContext, { id, before, steps }: Counting, survival: () => number): Found[] {
  const folder = dirname(aPath(t))
  const files = { db: new FileOnDisk(before), wal: new FileOnDisk(Buffer.alloc(0)) }
  const all: Found[] = []
  let acknowledged = 0
  for (const [step, one] of steps.entries()) {
    if (one.does === 'tell') acknowledged = Number(one.text)
    else if (one.does === 'flush') files[one.file].flush()
    else if (one.does === 'truncate') files[one.file].truncate(one.size)
    else files[one.file].write(one.at, one.bytes)
    if (step < steps.length - 1 && !random.chance(SHARE)) continue
    const share = survival()
    const path = join(folder, `${step}`)
    writeFileSync(
      path,
      files.db.afterPowerLoss(() => random.chance(share)),
    )
    writeFileSync(
      `${path}-wal`,
      files.wal.afterPowerLoss(() => random.chance(share)),
    )
    all.push({ step, acknowledged, n: countIn(path, id) })
  }
  assert.equal(acknowledged, COUNTS)
  return all
}

function countIn(path: string, id: string): number | string {
  const Database = loadDriver()
  const db = new Database(path)
  try {
    const [verdict] = Object.values(db.prepare('PRAGMA integrity_check').get() as object)
    if (verdict !== 'ok') return String(verdict)
    const { fields } = db.prepare('SELECT fields FROM sessions WHERE id = ?').get(id) as {
      fields: Uint8Array
    }
    return Number(decode(fields).n)
  } catch (error) {
    return String(error)
  } finally {
    db.close()
  }
}

test("with durability 'disk' the loss of power loses nothing acknowledged", {
  skip: withoutStrace,
}, async t => {
  const all = found(t, await counting(t, 'disk'), () => random.fraction())
  const losses = all.filter(({ n, acknowledged }) => n !== acknowledged && n !== acknowledged + 1)
  assert.deepEqual(losses, [], `POWER_SEED=${SEED}`)
  t.diagnostic(`seed ${SEED}: power lost ${all.length} times`)
})

test("with durability 'process' it may lose the last changes, and no more: the file is whole", {
  skip: withoutStrace,
}, async t => {
  const done = await counting(t, 'process')
  for (const survival of [() => random.fraction(), () => 0]) {
    const all = found(t, done, survival)
    const wrong = all.filter(({ n, acknowledged }) => typeof n === 'string' || n > acknowledged + 1)
    assert.deepEqual(wrong, [], `POWER_SEED=${SEED}`)
    const lost = all.map(({ n, acknowledged }) => acknowledged - Number(n))
    assert.ok(Math.max(...lost) > 1, 'nothing was lost: was everything flushed?')
    assert.ok(Math.max(...all.map(({ n }) => Number(n))) > COUNTS / 10, 'nothing was ever flushed')
    t.diagnostic(`seed ${SEED}: power lost ${all.length} times, and at most ${Math.max(...lost)} changes`)
  }
})
