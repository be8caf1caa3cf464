import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chown, mkdtemp, rm, rmdir, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { StoreUnavailableError } from '../../../src/errors.ts'
import { aChange, aSession, fieldsOf, inc, set } from '../../contract/records.ts'
import { aPgPool, aStore, aTable, withoutPostgreSQL } from '../../support/postgres/database.ts'
import { theUser } from '../../support/postgres/programs.ts'
import { type PostgreSQLServer, startPostgreSQL } from '../../support/postgres/server.ts'

const run = promisify(execFile)

/** A server and a small file system of its own, or nothing for who may not mount one. */
async function aSmallDisk(
  t: TestContext,
): Promise<{ readonly server: PostgreSQLServer; readonly disk: string } | undefined> {
  const disk = await mkdtemp(join(tmpdir(), 'small-disk-'))
  const isMounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', disk]).then(
    () => true,
    () => false,
  )
  const user = await theUser()
  if (isMounted && user) await chown(disk, user.uid, user.gid)
  const server = isMounted ? await startPostgreSQL() : undefined
  t.after(async () => {
    await server?.stop()
    if (isMounted) await run('umount', [disk])
    await rmdir(disk)
  })
  return server && { server, disk }
}

test('a full disk refuses changes, keeps what was acknowledged, and is left alone by what reads', {
  skip: withoutPostgreSQL,
}, async t => {
  const found = await aSmallDisk(t)
  if (!found) return t.skip('only for who may mount a file system')
  const { server, disk } = found
  const pool = await aPgPool(t, { max: 4 }, server.uri)
  // What is written ahead is on another disk, as an operator has it: where that is full, the server stops by itself.
  await pool.query(`CREATE TABLESPACE small LOCATION '${disk}'`)
  const table = aTable()
  const placed = await aPgPool(t, { max: 4, options: '-c default_tablespace=small' }, server.uri)
  const store = await aStore(t, { table, pool: placed })
  const kept = await aSession(store, { n: 0 })
  const filler = join(disk, 'filler')
  const { bavail, bsize } = await statfs(disk)
  await writeFile(filler, Buffer.alloc(bavail * bsize - 2 ** 20))

  const acknowledged: string[] = []
  let refused = 0
  for (let count = 0; count < 400 && refused < 20; count++) {
    await aSession(store, { text: `${count}`.padEnd(20_000, 'x') }).then(
      ({ id }) => acknowledged.push(id),
      error => {
        assert.ok(error instanceof StoreUnavailableError, String(error))
        assert.equal(error.outcome, 'none')
        refused++
      },
    )
  }
  assert.ok(acknowledged.length > 0 && refused > 0, `${acknowledged.length} stored, ${refused} refused`)
  for (const id of acknowledged) assert.equal(String((await fieldsOf(store, id)).text).length, 20_000)
  assert.deepEqual(await fieldsOf(store, kept.id), { n: 0 })

  await rm(filler)
  await store.update(kept.id, aChange(inc('n'), set('text', 'x'.repeat(20_000))))
  assert.equal((await fieldsOf(store, kept.id)).n, 1)
  t.diagnostic(`${acknowledged.length} stored, ${refused} refused`)
})
