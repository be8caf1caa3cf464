import type { Operation } from '../src/language/change.ts'
import { answerable, excerpt } from '../src/language/excerpt.ts'
import { holds } from '../src/language/guard.ts'
import { applied } from '../src/language/operators.ts'
import type { Fields } from '../src/language/values.ts'
import { completed, newPicture } from '../src/session/picture.ts'

// How what a visitor can make long grows with its length, in our own operators and without a server: npm run bench:growth

const SIZES = [1000, 10_000, 100_000]
/** Ten times as long is to cost about ten times as much; memory and its collector add some. */
const MAX_RATIO = 10

type Make = (index: number) => unknown

const aNumber: Make = index => index
const aLine: Make = index => ({ sku: `sku ${index}`, qty: 1 })

/** As many elements that are stored, and others that are given. */
function lists(size: number, make: Make): { stored: Fields; given: unknown[] } {
  const list = (from: number) => Array.from({ length: size }, (_, at) => make(from + at))
  return { stored: { list: list(0) }, given: list(size) }
}

function changing(make: Make, operation: (given: unknown[]) => Operation): (size: number) => () => unknown {
  return size => {
    const { stored, given } = lists(size, make)
    return () => applied(stored, [operation(given)])
  }
}

function named(size: number): Fields {
  return Object.fromEntries(Array.from({ length: size }, (_, at) => [`field${at}`, at]))
}

const acts: Record<string, (size: number) => () => unknown> = {
  'addToSet of numbers': changing(aNumber, arg => ({ op: '$addToSet', path: 'list', arg })),
  'addToSet of objects': changing(aLine, arg => ({ op: '$addToSet', path: 'list', arg })),
  'pullAll of numbers': changing(aNumber, arg => ({ op: '$pullAll', path: 'list', arg })),
  'pullAll of objects': changing(aLine, arg => ({ op: '$pullAll', path: 'list', arg })),
  'pull in': changing(aNumber, arg => ({ op: '$pull', path: 'list', comparator: 'in', arg })),
  'pull by a field in': changing(aLine, given => {
    const arg = given.map(line => (line as { sku: string }).sku)
    return { op: '$pull', path: 'list', field: 'sku', comparator: 'in', arg }
  }),
  'pull of one long object': size => {
    const stored = { list: Array.from({ length: size }, () => ({ field0: -1 })) }
    const arg = named(size)
    return () => applied(stored, [{ op: '$pull', path: 'list', comparator: '=', arg }])
  },
  'if in': size => {
    const { stored, given } = lists(size, aNumber)
    return () => holds([{ path: 'list', comparator: 'in', arg: given }], stored)
  },
  'get of names': size => {
    const fields = named(size)
    return () => excerpt(fields, answerable(Object.keys(fields)))
  },
  'set of names, loaded': size => {
    const fields = named(size)
    const picture = newPicture({ maxAge: 1, absoluteMaxAge: undefined }, 1, named(size))
    return () => completed(picture, 2, Object.keys(fields), fields)
  },
}

/** Nanoseconds of the processor for each element, the least of several tries. */
function costOf(act: () => unknown, size: number): number {
  const repetitions = Math.max(1, 20_000 / size)
  const tries = Array.from({ length: 7 }, () => {
    const before = process.cpuUsage()
    for (let time = 0; time < repetitions; time++) act()
    const { user, system } = process.cpuUsage(before)
    return (user + system) / repetitions
  })
  return (Math.min(...tries) * 1000) / size
}

const row = (...columns: string[]) =>
  console.log(columns.map((column, at) => (at === 0 ? column.padEnd(24) : column.padStart(14))).join(''))

row('ns for each of', ...SIZES.map(size => size.toLocaleString('en')), 'last / first')
let isMet = true
for (const [name, act] of Object.entries(acts)) {
  const costs = SIZES.map(size => costOf(act(size), size))
  const ratio = (costs.at(-1) as number) / (costs[0] as number)
  isMet &&= ratio <= MAX_RATIO
  row(name, ...costs.map(cost => cost.toFixed(0)), ratio.toFixed(1))
}
console.log(
  `\nGoal: no more than ${MAX_RATIO} times as much for each of a hundred times as many: ${isMet ? 'met' : 'MISSED'}`,
)
