// A process that counts in one session, writing `size` characters each time, and tells of each count once it is acknowledged.
// Plain JavaScript, run on the built package, because hundreds of it are started.
import { writeSync } from 'node:fs'

const [built, path, id, options] = process.argv.slice(2)
const { size, durability, until = Number.POSITIVE_INFINITY } = JSON.parse(options)
const { sqliteStore } = await import(built)
const store = sqliteStore({ path, durability })
const padding = 'x'.repeat(size)

for (let count = 0; count < until; count++) {
  const operations = [
    { op: '$inc', path: 'n', arg: 1 },
    { op: '$push', path: 'list', arg: [padding], modifiers: { slice: -5 } },
  ]
  const expires = new Date(Date.now() + 3_600_000)
  const { fields } = await store.update(
    id,
    { guards: [], operations, expires },
    { paths: ['n'], when: 'after' },
  )
  writeSync(1, `${fields.n}\n`)
}
