import { readFileSync } from 'node:fs'
import { appOf } from './app/diagnosis.ts'
import {
  type Arguments,
  argumentsIn,
  type CommandName,
  doctorOptionsIn,
  expectAtMost,
  expectNone,
  STORE_VARIABLE,
  storeIn,
} from './arguments.ts'
import { type Censor, censorOf } from './censor.ts'
import { count, countedText } from './count.ts'
import { diagnosisText, doctor } from './doctor/doctor.ts'
import type { Severity } from './doctor/finding.ts'
import { endedText, endOne, endUser } from './end.ts'
import { toldOf } from './failure.ts'
import { help } from './help.ts'
import type { OpenedStore } from './opened.ts'
import { openStore } from './opening.ts'
import { jsonOf, printable } from './printable.ts'
import { randomKey } from './random-key.ts'
import { schema } from './schema/schema.ts'
import { idIn, show, shownText } from './show.ts'
import { bar, sweep, sweptText } from './sweep.ts'
import type { Target } from './target.ts'
import { UsageError } from './usage.ts'

/** Where a command is given. */
export interface Terminal {
  readonly env: NodeJS.ProcessEnv
  /** Whether a person reads what is printed, and can answer. */
  readonly isInteractive: boolean
  print(text: string): void
  /** For people alone: what is not the command's result. */
  tell(text: string): void
  /** True for yes. */
  ask(question: string): Promise<boolean>
}

const OK = 0
const WARNING = 1
const FAILED = 2
const MISUSED = 64

/** The result of a command. */
interface Result {
  readonly text: string
  /** For machines, beside the command's name and the store. */
  readonly json: object
  readonly code: number
}

/** Runs a command line, and resolves to the exit code. */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  const isJSON = args.includes('--json')
  const attempt: Attempt = { target: undefined, command: undefined }
  try {
    const given = argumentsIn(args)
    attempt.command = given.command
    if (given.options.version) {
      terminal.print(isJSON ? documentOf(attempt, { version: version() }) : version())
      return OK
    }
    if (given.options.help) {
      terminal.print(isJSON ? documentOf(attempt, { help }) : help)
      return OK
    }
    if (given.command === undefined) {
      if (isJSON) throw new UsageError('Give a command, such as count')
      terminal.tell(help)
      return MISUSED
    }
    const { text, json, code } = await resultOf(given.command, given, terminal, attempt)
    terminal.print(isJSON ? documentOf(attempt, json) : text)
    return code
  } catch (error) {
    return failure(error, isJSON, terminal, attempt)
  }
}

/** What is known of a command so far: all that there is to tell if it fails. */
interface Attempt {
  command: CommandName | undefined
  target: Target | undefined
}

function failure(error: unknown, isJSON: boolean, terminal: Terminal, attempt: Attempt): number {
  const censor: Censor = attempt.target?.censor ?? censorOf([])
  const message = toldOf(error, censor)
  const isMisuse = error instanceof UsageError
  if (isJSON) terminal.print(documentOf(attempt, { error: message }))
  else terminal.tell(`${printable(message)}${isMisuse ? '\nkoa-atomic-session --help says more' : ''}`)
  return isMisuse ? MISUSED : FAILED
}

/** For machines. */
function documentOf({ command, target }: Attempt, members: object): string {
  return jsonOf({ command, ...(target && { store: target.shown }), ...members }, 2)
}

async function resultOf(
  command: CommandName,
  given: Arguments,
  terminal: Terminal,
  attempt: Attempt,
): Promise<Result> {
  const { operands, options } = given
  switch (command) {
    case 'keys': {
      expectAtMost(operands, 0)
      const key = randomKey()
      return { text: key, json: { key }, code: OK }
    }
    case 'schema': {
      expectAtMost(operands, 1)
      const [form = 'sql'] = operands
      const { schema: within, table, unlogged, field } = options
      if (form === 'drizzle' || form === 'prisma') expectNone(options, ['unlogged'], 'schema sql')
      const text = schema(form, {
        ...(within !== undefined && { schema: within }),
        ...(table !== undefined && { table }),
        ...(unlogged && { unlogged }),
        ...(field !== undefined && { user: field }),
      })
      return { text, json: { form, schema: text }, code: OK }
    }
    case 'doctor':
      return examined(given, terminal, attempt)
    default:
      return ofStore(command, given, terminal, attempt)
  }
}

/** Options of `doctor` that say nothing of the app's page. */
const ofStoreAlone = ['collection', 'prefix', 'schema', 'table', 'field', 'timeout'] as const

/** By the worst that was found. */
const codes: Readonly<Record<Severity, number>> = { ok: OK, note: OK, warning: WARNING, error: FAILED }

async function examined(given: Arguments, terminal: Terminal, attempt: Attempt): Promise<Result> {
  const { app: address, field, cookie } = given.options
  const options = { field, cookie, ...doctorOptionsIn(given) }
  const app = address === undefined ? undefined : appOf(address)
  if (!app) expectNone(given.options, ['cookie'], 'doctor --app')
  const isStoreGiven = given.operands.length > 0 || terminal.env[STORE_VARIABLE]
  if (!app || isStoreGiven) attempt.target = storeIn(given, 0, terminal.env).target
  else expectNone(given.options, ofStoreAlone, 'a store, and none is given')
  const { kind } = attempt.target ?? {}
  if (kind === 'redis' || kind === 'sqlite') expectNone(given.options, ['timeout'], 'MongoDB and PostgreSQL')
  const diagnosis = await doctor(attempt.target, app, options)
  const { severity, findings } = diagnosis
  return {
    text: diagnosisText(diagnosis),
    json: { ...(app && { app: app.shown }), severity, findings },
    code: codes[severity],
  }
}

async function ofStore(
  command: Exclude<CommandName, 'keys' | 'schema' | 'doctor'>,
  given: Arguments,
  terminal: Terminal,
  attempt: Attempt,
): Promise<Result> {
  const { options } = given
  const isOfOne = command === 'show' || (command === 'end' && options.user === undefined)
  if (isOfOne && given.operands[0] !== undefined) idIn(given.operands[0])
  if (isOfOne) expectNone(options, ['field'], 'end --user')
  const { target, operands } = storeIn(given, isOfOne ? 1 : 0, terminal.env)
  attempt.target = target
  const [id = ''] = operands
  if (command === 'end' && !isOfOne && !options.yes && (!terminal.isInteractive || options.json)) {
    throw new UsageError('Nobody can be asked here: give --yes')
  }
  const opened = await openStore(target)
  try {
    switch (command) {
      case 'count': {
        const counted = await count(opened)
        return { text: countedText(counted), json: counted, code: OK }
      }
      case 'show': {
        const shown = await show(opened, id, options.values)
        return { text: shownText(shown), json: shown, code: shown.state === 'live' ? OK : WARNING }
      }
      case 'end':
        return await ended(opened, id, given, terminal)
      case 'sweep': {
        const isWatched = terminal.isInteractive && !options.json
        const swept = await sweep(opened, isWatched ? (...so) => terminal.tell(`\r${bar(...so)}`) : undefined)
        if (isWatched) terminal.tell('')
        return { text: sweptText(swept), json: swept, code: OK }
      }
    }
  } finally {
    await opened.close()
  }
}

async function ended(
  opened: OpenedStore,
  id: string,
  { options }: Arguments,
  terminal: Terminal,
): Promise<Result> {
  const { user, field, yes } = options
  const confirm = async (sessions: number) =>
    yes || terminal.ask(`Sessions of this user: ${sessions}. End them?`)
  const result = await (user === undefined ? endOne(opened, id) : endUser(opened, user, { field, confirm }))
  return { text: endedText(result), json: result, code: result.ended > 0 ? OK : WARNING }
}

function version(): string {
  const file = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(file) as { version: string }).version
}
