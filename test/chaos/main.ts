import { parseArgs } from 'node:util'
import { breakages } from './broken.ts'
import { chaos } from './chaos.ts'
import { aPlace } from './place.ts'

// npm run chaos -- --minutes 5 --seed 1 [--store mongodb|sqlite|redis|ioredis|pg|postgres] [--break NAME]

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    store: { type: 'string', default: 'mongodb' },
    break: { type: 'string' },
  },
})
const breakage = values.break
if (breakage !== undefined && !breakages[breakage]) {
  throw new Error(`--break is one of ${Object.keys(breakages).join(', ')}`)
}

const { name, place, disk, remove } = await aPlace(values.store)
console.log(`seed ${values.seed}, ${values.minutes} minutes, ${name}`)
try {
  const { counts, violations, sessions } = await chaos({
    place,
    disk,
    seconds: 60 * Number(values.minutes),
    seed: Number(values.seed),
    breakage,
  })
  console.log(`${sessions} sessions`)
  for (const [what, times] of [...counts].sort()) console.log(`${String(times).padStart(8)} ${what}`)
  for (const violation of violations) console.error(`VIOLATION ${violation}`)
  if (violations.length > 0) process.exitCode = 1
  else console.log('What was acknowledged is there, and nothing else')
} finally {
  await remove()
}
