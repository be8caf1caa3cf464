import { bsonFor } from '../../stores/bson.ts'
import { answers } from './answers.ts'
import { type StoreTest, testsOf, testsOfTwo } from './case.ts'
import { changing } from './changing.ts'
import { concurrency } from './concurrency.ts'
import { counting } from './counting.ts'
import { creation } from './creation.ts'
import { ending } from './ending.ts'
import { expiry } from './expiry.ts'
import { finding } from './finding.ts'
import { guards } from './guards.ts'
import { isolation } from './isolation.ts'
import { joining } from './joining.ts'
import { processes } from './processes.ts'
import { reading } from './reading.ts'
import { size } from './size.ts'
import { sweeping } from './sweeping.ts'
import { upkeep } from './upkeep.ts'
import { values } from './values.ts'

/**
 * The promises of a store, as a list of tests for any test runner. Each test opens its own store, so tests may run in parallel.
 *
 *     for (const { title, run } of storeContract()) {
 *       test(title, async t => {
 *         const data = await emptyData()
 *         const open = () => myStore(data)
 *         const skipped = await run(open, open)
 *         if (skipped) t.skip(skipped)
 *       })
 *     }
 *
 * @throws {ConfigurationError} if the package `bson` is not installed: the tests store values of its types.
 */
export function storeContract(): StoreTest[] {
  const bson = bsonFor('storeContract')
  return [
    ...testsOf('creation', creation),
    ...testsOf('reading', reading),
    ...testsOf('changing', test => changing(test, bson)),
    ...testsOf('guards', test => guards(test, bson)),
    ...testsOf('answers', answers),
    ...testsOf('ending', ending),
    ...testsOf('expiry', expiry),
    ...testsOf('finding', test => finding(test, bson)),
    ...testsOf('counting', counting),
    ...testsOf('sweeping', sweeping),
    ...testsOf('concurrency', concurrency),
    ...testsOf('joining', joining),
    ...testsOfTwo('processes', test => processes(test, bson)),
    ...testsOf('isolation', test => isolation(test, bson)),
    ...testsOf('values', test => values(test, bson)),
    ...testsOf('size', test => size(test, bson)),
    ...testsOf('upkeep', upkeep),
  ]
}
