import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { aChange, aSession, fieldsOf, inc, recordOf } from '../../contract/records.ts'
import { Random } from '../../support/linearizability/random.ts'
import { aPath, aStore, countsOf, theFile } from '../../support/lmdb/files.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const counter = fileURLToPath(new URL('../../support/lmdb/counter.mjs', import.meta.url))
const KILLS = 100
/** How long a process may have been counting, milliseconds. */
const LONGEST = 20
const SEED = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000)

/** The store compiled, in a folder from which it finds its packages. */
function builtStore(): string {
  const folder = join(root, 'node_modules', '.cache', 'lmdb-crash')
  execFileSync('npx', ['tsc', '-p', 'tsconfig.build.json', '--outDir', folder], {
    cwd: root,
    stdio: 'inherit',
  })
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
  return join(folder, 'stores', 'lmdb', 'store.js')
}

test('a process killed while it writes has kept what it acknowledged, or one change more, and stops nobody', async t => {
  const path = aPath(t)
  const store = aStore(t, path)
  const { id } = await aSession(store, { n: 0, others: 0 })
  const random = new Random(SEED)
  const lmdb = builtStore()
  let longest = 0
  let inFlight = 0
  for (let kill = 1; kill <= KILLS; kill++) {
    const child = spawn(process.execPath, [counter, lmdb, path, id], { stdio: ['ignore', 'pipe', 'inherit'] })
    let told = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      told = (told + text).slice(-100)
    })
    const closed = once(child, 'close')
    await Promise.race([once(child.stdout, 'data'), closed])
    await delay(random.below(LONGEST))
    child.kill('SIGKILL')
    const begun = performance.now()
    await store.update(id, aChange(inc('others')))
    longest = Math.max(longest, performance.now() - begun)
    const [, signal] = await closed
    assert.equal(signal, 'SIGKILL')

    const acknowledged = Number(told.trimEnd().split('\n').at(-1))
    const { n, others } = await fieldsOf(store, id)
    assert.ok(n === acknowledged || n === acknowledged + 1, `CRASH_SEED=${SEED}: ${n} after ${acknowledged}`)
    assert.equal(others, kill)
    inFlight += Number(n) - acknowledged
  }
  t.diagnostic(
    `seed ${SEED}: ${inFlight} of ${KILLS} had one change more; nobody waited longer than ${longest} ms`,
  )
  assert.ok(longest < 1000, `another process waited for ${longest} ms`)

  const { rev, fields } = await recordOf(store, id)
  assert.equal(rev, 1 + Number(fields.n) + KILLS)
  assert.deepEqual(countsOf(theFile(t, path)), { e: 1, m: 1, s: 1 })
})
