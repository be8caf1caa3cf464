import { addCommand, type CommandName } from '../src/core/commands.ts'
import { Fold } from '../src/core/fold.ts'
import { holds } from '../src/core/guard.ts'
import { applied } from '../src/core/operators.ts'
import { answerable, completed, excerpt, type Picture } from '../src/core/picture.ts'
import type { Fields } from '../src/core/values.ts'

// npm run bench:growth: how the cost of what a visitor can make long grows with its length, in this process and without a
// store. In proportion, the time for each element stays about as it is.

const COUNTS = [1_000, 10_000, 100_000]

const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, at) => from + at)
const named = (count: number): Fields => Object.fromEntries(numbers(count).map(at => [`field${at}`, at]))

/** Makes, for a length, what is timed. */
const acts: Record<string, (count: number) => () => unknown> = {
  addToSet: count => changing('addToSet', ['a', ...numbers(count, count)], count),
  pullAll: count => changing('pullAll', ['a', numbers(count, count / 2)], count),
  "pull('a', 'in', …)": count => changing('pull', ['a', 'in', numbers(count, count / 2)], count),
  "if('a', 'in', …)": count => {
    const guards = [{ path: 'a', comparator: 'in', arg: numbers(count, count) }] as const
    const fields = { a: numbers(count) }
    return () => holds(guards, fields)
  },
  'get(…names)': count => {
    const fields = named(count)
    const names = Object.keys(fields)
    return () => excerpt(fields, answerable(names))
  },
  'set({ names }) of a picture': count => {
    const fields = named(count)
    const names = Object.keys(fields)
    const picture: Picture = { fields, rev: 1, created: new Date(0), expires: new Date(1), maxAge: 1 }
    return () => completed(picture, 2, names, fields)
  },
}

function changing(name: CommandName, args: unknown[], count: number): () => unknown {
  const fold = new Fold()
  addCommand(fold, name, args)
  const fields = { a: numbers(count) }
  return () => applied(fields, fold.operations)
}

/** The least of several tries, microseconds: the machine may be busy with other things. */
function leastTime(run: () => unknown): number {
  const tries = Array.from({ length: 7 }, () => {
    const before = process.cpuUsage()
    run()
    const { user, system } = process.cpuUsage(before)
    return user + system
  })
  return Math.max(1, Math.min(...tries))
}

const rows = Object.entries(acts).map(([name, act]) => {
  const times = COUNTS.map(count => leastTime(act(count)))
  const [first = 1, ...more] = times
  return {
    act: name,
    ...Object.fromEntries(
      COUNTS.map((count, at) => [`ms, ${count}`, Number(((times[at] ?? 0) / 1000).toFixed(2))]),
    ),
    ...Object.fromEntries(
      more.map((time, at) => [
        `× for ${(COUNTS[at + 1] ?? 0) / 1000} times`,
        Number((time / first).toFixed(1)),
      ]),
    ),
  }
})
console.table(rows)
