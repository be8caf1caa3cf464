import { ConfigurationError } from '../errors.ts'
import { describe, quote } from './paths.ts'
import { isPlain } from './values.ts'

/** The options of a call that returns a promise, such as `regenerate({ … })`. */
export function callOptions<Name extends string>(
  call: string,
  options: unknown,
  names: readonly Name[],
): { readonly [N in Name]?: unknown } {
  refuseCallback(call, [options])
  const checked = namedOptions(call, options, names)
  const empty = Object.entries(checked).find(([, value]) => value === null)
  if (empty) throw new ConfigurationError(`${call}({ ${empty[0]} }) is null; leave it out for its default`)
  return checked
}

/**
 * The options of one call: a copy with only these names, without those that are `undefined`. Their values are not checked here.
 *
 * @throws {ConfigurationError} that names the wrong argument or option.
 */
export function namedOptions<Name extends string>(
  call: string,
  options: unknown,
  names: readonly Name[],
  advice?: Advice,
): { readonly [N in Name]?: unknown } {
  if (options === undefined) return {}
  if (names.length === 0) throw new ConfigurationError(`${call}() takes no options, not ${describe(options)}`)
  if (!isPlain(options)) {
    throw new ConfigurationError(
      `${call}() takes options as a plain object, not ${describe(options)}; there are ${names.join(', ')}`,
    )
  }
  refuseUnknown(`${call}()`, options, names, advice)
  const checked: { [N in Name]?: unknown } = {}
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined) checked[name as Name] = value
  }
  return checked
}

/**
 * The options of a function that makes something, such as `memoryStore`, as `namedOptions` checks them. The type is what the
 * function declares, and the values are not checked here: without options even a required one is `undefined`.
 *
 * @throws {ConfigurationError}
 */
export function factoryOptions<Options extends object>(
  factory: string,
  options: Options | undefined,
  names: readonly (keyof Options & string)[],
  advice?: Advice,
): Options {
  return namedOptions(factory, options, names, advice) as Options
}

/** Advice for names that are options elsewhere, such as in another library; under `''`, for names that are similar to none. */
export type Advice = Readonly<Record<string, string>>

/**
 * Refuses unknown options.
 *
 * @throws {ConfigurationError} for an option that `owner` does not have. The message names it and says what to do.
 */
export function refuseUnknown(
  owner: string,
  options: object,
  names: readonly string[],
  advice: Advice = {},
): void {
  const unknown = Object.keys(options).find(name => !names.includes(name))
  if (unknown === undefined) return
  const similar = nearest(unknown, [...names, ...Object.keys(advice)])
  const advised = similar !== undefined && names.includes(similar) ? undefined : advice[similar ?? '']
  const way = advised === undefined ? suggestion(similar) : `: ${advised}`
  throw new ConfigurationError(
    `${owner} has no option ${quote(unknown)}${way}; there are ${names.join(', ')}`,
  )
}

/**
 * For methods that return a promise. Throws at the call: code that passes a callback does not await the promise, and its callback
 * would never be called. A function among the first `needed` arguments is not a callback, but a value.
 *
 * @throws {ConfigurationError}
 */
export function refuseCallback(call: string, args: readonly unknown[], needed = 0): void {
  if (!args.some((arg, index) => index >= needed && typeof arg === 'function')) return
  throw new ConfigurationError(`${call}() returns a promise and takes no callback: await it`)
}

/**
 * Refuses arguments after the first `most`: the call would ignore them.
 *
 * @throws {ConfigurationError}
 */
export function refuseSurplus(call: string, args: readonly unknown[], most: number): void {
  if (args.length <= most || args.slice(most).every(arg => arg === undefined)) return
  throw new ConfigurationError(tooMany(call, most, args.length))
}

/** For methods that return a promise: refuses all that they would ignore, callbacks first. */
export function refuseIgnored(call: string, args: readonly unknown[], needed: number, most: number): void {
  refuseCallback(call, args, needed)
  refuseSurplus(call, args, most)
}

export function tooMany(call: string, most: number, given: number): string {
  const taken = most === 0 ? 'no arguments' : `at most ${most} argument${most === 1 ? '' : 's'}`
  return `${call}() takes ${taken}, and got ${given}`
}

/** `; did you mean …?`, if one of the names is similar: at most `mistakes` changes away, and fewer for a short name. */
export function didYouMean(given: string, names: readonly string[], mistakes?: number): string {
  return suggestion(nearest(given, names, mistakes))
}

function suggestion(name: string | undefined): string {
  return name === undefined ? '' : `; did you mean ${quote(name)}?`
}

/** The most similar name, if one is similar enough. */
function nearest(given: string, names: readonly string[], mistakes = 2): string | undefined {
  const [first] = names
    .map(name => ({ name, far: distance(given.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, far }) => far <= Math.min(mistakes, (name.length - 1) / 2))
    .sort((a, b) => a.far - b.far)
  return first?.name
}

/** The edit distance: the fewest insertions, removals, replacements and swaps of neighbours that turn one name into the other. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return Number.POSITIVE_INFINITY
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(rows, i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const isSwapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      row[j] = Math.min(
        replaced,
        at(rows, i - 1, j) + 1,
        (row[j - 1] as number) + 1,
        isSwapped ? at(rows, i - 2, j - 2) + 1 : replaced,
      )
    }
    rows.push(row)
  }
  return at(rows, a.length, b.length)
}

function at(rows: readonly (readonly number[])[], i: number, j: number): number {
  return rows[i]?.[j] ?? Number.POSITIVE_INFINITY
}
