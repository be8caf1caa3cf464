import { type ParseArgsConfig, parseArgs } from 'node:util'
import { milliseconds } from '../duration.ts'
import { didYouMean } from '../language/calloptions.ts'
import { type CheckName, checks } from './doctor/finding.ts'
import { type Kind, type Names, type Target, targetOf } from './target.ts'
import { repeated, UsageError } from './usage.ts'

type ParseArgsOptionsConfig = NonNullable<ParseArgsConfig['options']>

const text = { type: 'string' } as const
const flag = { type: 'boolean' } as const

const everywhere = { json: flag, help: flag, version: flag } satisfies ParseArgsOptionsConfig
const names = { collection: text, prefix: text, schema: text, table: text } satisfies ParseArgsOptionsConfig

/** The options of each command, in addition to `everywhere`. */
const optionsOf = {
  doctor: { ...names, app: text, cookie: text, field: text, timeout: text, skip: text },
  count: names,
  show: { ...names, values: flag },
  end: { ...names, user: text, field: text, yes: flag },
  sweep: names,
  schema: { schema: text, table: text, unlogged: flag, field: text },
  keys: {},
} satisfies Record<string, ParseArgsOptionsConfig>

export type CommandName = keyof typeof optionsOf

/** The options of all commands; a command refuses those that it does not take. */
export interface Options extends Partial<Names> {
  readonly json?: boolean
  readonly help?: boolean
  readonly version?: boolean
  readonly values?: boolean
  readonly user?: string
  readonly field?: string
  readonly yes?: boolean
  readonly unlogged?: boolean
  readonly app?: string
  readonly cookie?: string
  readonly timeout?: string
  readonly skip?: string
}

export interface Arguments {
  readonly command: CommandName | undefined
  /** The arguments after the command that are not options. */
  readonly operands: readonly string[]
  readonly options: Options
}

/** @throws {UsageError} that repeats no more of what was given than names of commands and options: the rest may be secret. */
export function argumentsIn(args: readonly string[]): Arguments {
  const all: ParseArgsOptionsConfig = Object.assign({}, everywhere, ...Object.values(optionsOf))
  const { tokens } = parseArgs({ args: [...args], options: all, strict: false, tokens: true })
  const unknown = tokens.find(token => token.kind === 'option' && !Object.hasOwn(all, token.name))
  if (unknown?.kind === 'option') {
    const { name, rawName } = unknown
    throw new UsageError(repeated(name, 'There is no such option', `Unknown option '${rawName}'`))
  }
  const rawNames = tokens.flatMap(token =>
    token.kind === 'option' && token.value !== undefined ? token.rawName : [],
  )
  const twice = rawNames.find((rawName, index) => rawNames.indexOf(rawName) < index)
  if (twice !== undefined) throw new UsageError(`${twice} is given twice, and only one counts`)
  const positional = tokens.find(({ kind }) => kind === 'positional')
  const name = positional?.kind === 'positional' ? positional.value : undefined
  const command = name === undefined ? undefined : commandNamed(name)
  const options = { ...everywhere, ...(command && optionsOf[command]) }
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true })
    return { command, operands: positionals.slice(1), options: values as Options }
  } catch (error) {
    throw new UsageError(firstSentence((error as Error).message))
  }
}

function commandNamed(name: string): CommandName {
  const known = Object.keys(optionsOf)
  if (known.includes(name)) return name as CommandName
  const shown = repeated(name, 'such command', `command ${name}`)
  throw new UsageError(`There is no ${shown}${didYouMean(name, known)}; there are ${known.join(', ')}`)
}

/** The rest is advice for who meant a positional argument. */
function firstSentence(message: string): string {
  return message.split(/\. |\n/, 1)[0] ?? message
}

/** The environment variable with the store's address, if the command line has none. */
export const STORE_VARIABLE = 'SESSION_STORE'

/**
 * The store that is meant, and what stands before it.
 * @throws {UsageError} where none is, or too much was given.
 */
export function storeIn(
  { operands, options }: Arguments,
  before: number,
  env: NodeJS.ProcessEnv,
): { readonly target: Target; readonly operands: readonly string[] } {
  if (operands.length < before) throw new UsageError("Give a session's id")
  expectAtMost(operands, before + 1)
  const address = operands[before] ?? env[STORE_VARIABLE]
  if (!address) {
    throw new UsageError(
      `Give the store: mongodb://…, redis://…, postgres://… or the name of an SQLite file, after the command or as the variable ${STORE_VARIABLE}`,
    )
  }
  const { collection, prefix, schema, table } = options
  const given = { collection, prefix, schema, table }
  const named = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  const target = targetOf(address, named)
  for (const [kind, { title, names }] of Object.entries(kinds)) {
    if (kind !== target.kind) expectNone(options, names, title)
  }
  return { target, operands: operands.slice(0, before) }
}

/** What each kind of store is called, and the options that name its sessions. */
const kinds: Readonly<Record<Kind, { readonly title: string; readonly names: readonly (keyof Names)[] }>> = {
  mongodb: { title: 'MongoDB', names: ['collection'] },
  redis: { title: 'Redis and Valkey', names: ['prefix'] },
  postgres: { title: 'PostgreSQL', names: ['schema', 'table'] },
  sqlite: { title: 'SQLite', names: [] },
}

/** @throws {UsageError} for an option that would be ignored. */
export function expectNone(
  options: Options,
  names: readonly (keyof Options & string)[],
  place: string,
): void {
  const ignored = names.find(name => options[name] !== undefined)
  if (ignored !== undefined) throw new UsageError(`--${ignored} would be ignored here: it is for ${place}`)
}

/**
 * The durations and names that `doctor` takes.
 * @throws {UsageError} for what is no duration, and for a check that there is not.
 */
export function doctorOptionsIn({ options: { timeout, skip } }: Arguments): {
  readonly timeout?: number
  readonly skip: ReadonlySet<CheckName>
} {
  const known: ReadonlySet<string> = new Set(checks)
  const skipped = skip?.split(',').map(name => name.trim()) ?? []
  const unknown = skipped.find(name => !known.has(name))
  if (unknown !== undefined) {
    throw new UsageError(
      `There is no ${repeated(unknown, 'such check', `check "${unknown}"`)}${didYouMean(unknown, checks)}; there are ${checks.join(', ')}`,
    )
  }
  return {
    ...(timeout !== undefined && { timeout: durationIn(timeout) }),
    skip: new Set(skipped as CheckName[]),
  }
}

/** Milliseconds, or words such as `5s`. */
function durationIn(given: string): number {
  try {
    return milliseconds('--timeout', /^\d+$/.test(given) ? Number(given) : given)
  } catch {
    throw new UsageError('--timeout takes a positive duration: milliseconds, or words such as 5s or 1 minute')
  }
}

export function expectAtMost(operands: readonly string[], most: number): void {
  if (operands.length > most) throw new UsageError('There is more on the command line than the command takes')
}
