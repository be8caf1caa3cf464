import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, suite, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as errors from '../src/errors.ts'
import { commands } from '../src/language/commands.ts'
import { filesMatching } from './support/runner/files.ts'

const execute = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))
const compiler = join(root, 'node_modules/typescript/bin/tsc')
const documents = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...(await filesMatching(root, ['docs/**/*.md'])).filter(name => !name.startsWith('docs/site/')),
]

interface Block {
  /** Where it begins, for people: `README.md:12`. */
  readonly at: string
  readonly language: string
  readonly kind: string
  readonly text: string
}

const blocks = documents.flatMap(blocksOf)
const shared = blocks.filter(({ kind }) => kind === 'shared').map(({ text }) => text)
const handlers = blocks.filter(({ kind }) => kind === 'handler')

/** Inside the repository, so that what the examples import is found; with the package in it as a user has it. */
let folder: string

before(async () => {
  const cache = join(root, 'node_modules/.cache')
  await mkdir(cache, { recursive: true })
  folder = await mkdtemp(join(cache, 'readme-'))
  const installed = join(folder, 'node_modules/koa-atomic-session')
  // It is written even where the compiler objects, which is for other tests to tell.
  await tsc('-p', 'tsconfig.build.json', '--outDir', join(installed, 'dist'))
  await cp(join(root, 'package.json'), join(installed, 'package.json'))
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
})

after(() => rm(folder, { recursive: true, force: true }))

suite('every example', () => {
  test('in TypeScript compiles', async t => {
    assert.ok(blocks.filter(({ language }) => language === 'ts').length > 10)
    // One that declares something for all of a program is a program of its own.
    const written = blocks.filter(({ language, kind }) => language === 'ts' && isProgram(kind))
    const programs = written.filter(({ at, text }) => {
      const missing = packagesIn(text).find(name => !existsSync(join(root, 'node_modules', name)))
      if (missing && process.env.CI) throw new Error(`${at} needs ${missing}, which is not installed`)
      if (missing) t.diagnostic(`NOT COMPILED: ${at} needs ${missing}, which is not installed`)
      return missing === undefined
    })
    const alone = programs.filter(({ text }) => text.includes('declare module'))
    const together = programs.filter(block => !alone.includes(block))
    const groups = [[...together.map(programOf), handlersFile()], ...alone.map(block => [programOf(block)])]
    for (const [index, group] of groups.entries()) assert.equal(await faultsIn(group, `group${index}`), '')
  })

  for (const block of blocks.filter(({ kind }) => kind === 'run')) {
    test(`that is a program answers: ${block.at}`, async t => {
      const { name, text } = programOf(block)
      assert.match(text, /app\.listen\(3000\)/)
      const url = await started(t, { name: `run-${name}`, text: onFreePort(text) })
      for (const _ of [1, 2]) {
        const response = await fetch(url)
        assert.equal(response.status, 200, await response.clone().text())
        assert.notEqual(await response.text(), '')
      }
    })
  }

  test('that is a part of one does what it says', async t => {
    const { name, text } = handlersFile()
    const url = await started(t, { name: `run-${name}`, text: onFreePort(text) })
    for (const [index, { at }] of handlers.entries()) {
      const response = await fetch(`${url}/${index}`)
      assert.equal(response.status, 200, `${at}: ${await response.text()}`)
    }
  })

  test('has a kind that is known here', () => {
    const programs = ['ts', 'ts run', 'ts handler', 'ts shared', 'js run']
    const known = [...programs, 'sh', 'html', 'json', 'nginx', 'txt']
    const kinds = blocks.map(({ language, kind }) => `${language} ${kind}`.trim())
    assert.deepEqual(
      kinds.filter(kind => !known.includes(kind)),
      [],
    )
  })
})

suite('the documents name', () => {
  const options = 'docs/reference/options.md'
  const tables = [
    [options, '## Options of `Session(app, options)`', 'http/options.ts', 'SessionOptions'],
    [options, '## The cookie', 'http/cookie-options.ts', 'CookieOptions'],
    [options, '## Options of `csrf()`', 'http/csrf.ts', 'CSRFOptions'],
    [options, '## Options of `regenerate()`', 'session/types.ts', 'RegenerateOptions'],
    [options, '## Options of `once()`', 'session/types.ts', 'OnceOptions'],
    ['docs/stores/lmdb.md', '# LMDB: a file on this machine', 'stores/lmdb/store.ts', 'LMDBStoreOptions'],
    ['docs/stores/memory.md', '# Memory', 'stores/memory.ts', 'MemoryStoreOptions'],
    ['docs/stores/redis.md', '# Redis and Valkey', 'stores/redis/store.ts', 'RedisStoreOptions'],
  ] as const
  for (const [document, title, file, type] of tables) {
    test(`exactly the options of ${type}, with their defaults`, () => {
      // What has to be given has no default.
      const described = tableUnder(document, title)
        .map(([name = '', value = '']) => [plain(name), plain(value)])
        .filter(([, value]) => value !== '')
      const declared = optionsOf(`src/${file}`, type)
      assert.ok(declared.length > 0)
      assert.deepEqual(
        described.map(([name]) => name),
        declared.map(({ name }) => name),
      )
      for (const [at, { name, value }] of declared.entries()) {
        if (value !== undefined) assert.equal(described[at]?.[1], value, `the default of ${name}`)
      }
    })
  }

  test('every command', () => {
    const named = tableUnder('docs/reference/commands.md', '## All commands').flatMap(([call = '']) =>
      Array.from(call.matchAll(/`(\w+)\(/g), ([, name]) => name),
    )
    assert.deepEqual(new Set(named), new Set(Object.keys(commands)))
  })

  test('every error, with its code and its status', () => {
    const described = tableUnder('docs/reference/errors.md', '## All errors').map(cells =>
      cells.slice(0, 3).map(plain),
    )
    const thrown = [
      new errors.SessionEndedError(),
      new errors.InvalidCSRFTokenError(),
      new errors.LeaseLostError('', undefined),
      new errors.SessionTooLargeError(),
      new errors.CommandError(''),
      new errors.FieldError('', ''),
      new errors.HeadersSentError(''),
      new errors.ConfigurationError(''),
      new errors.StoreUnavailableError('', 'none'),
    ]
    // The base of all, and what only stores throw.
    assert.equal(Object.keys(errors).length, thrown.length + 2)
    assert.deepEqual(
      described,
      thrown.map(({ name, code, status }) => [name, code, String(status)]),
    )
  })

  test('the options that 2.0.0 has added in the changelog too', () => {
    const added = /^- The options (.*?)\.$/ms.exec(read('CHANGELOG.md'))?.[1] ?? ''
    const named = Array.from(added.matchAll(/`(\w+)`/g), ([, name]) => name)
    const declared = optionsOf('src/http/options.ts', 'SessionOptions').map(({ name }) => name)
    assert.deepEqual(new Set([...named, 'key', 'maxAge']), new Set(declared))
  })
})

test('the list of pages has each page', () => {
  const listed = Array.from(
    read('docs/index.md').matchAll(/\]\(([^)]+)\)/g),
    ([, target = '']) => `docs/${target}`,
  )
  const pages = documents.filter(document => document.startsWith('docs/') && document !== 'docs/index.md')
  assert.deepEqual(listed.sort(), pages)
})

test('each page begins with what its reader can do after it', () => {
  const pages = documents.filter(document => /^docs\/.+\/|^docs\/(?:start|speed|writing)/.test(document))
  assert.ok(pages.length > 40)
  assert.deepEqual(
    pages.filter(page => !/^# .*\n\nAfter this page /.test(read(page))),
    [],
  )
})

test('links lead somewhere', () => {
  const lost: string[] = []
  for (const document of documents) {
    for (const [, target = ''] of read(document).matchAll(/(?:\]\(|(?:src|srcset)=")([^)"\s]+)[)"]/g)) {
      if (/^https?:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? document : join(document, '..', path)
      const isThere =
        existsSync(join(root, file)) && (anchor === undefined || anchorsOf(file).includes(anchor))
      if (!isThere) lost.push(`${document} links to ${target}`)
    }
  }
  assert.deepEqual(lost, [])
})

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}

function blocksOf(document: string): Block[] {
  const text = read(document)
  return Array.from(text.matchAll(/^```(\w+) *(\w*)\n(.*?)^```$/gms), match => ({
    at: `${document}:${text.slice(0, match.index).split('\n').length}`,
    language: match[1] ?? '',
    kind: match[2] ?? '',
    text: match[3] ?? '',
  }))
}

/** The packages that a program imports, this one aside. */
function packagesIn(text: string): string[] {
  const names = Array.from(
    text.matchAll(/ from '((?!node:|\.)(?:@[\w.-]+\/)?[\w.-]+)[^']*'/g),
    ([, name = '']) => name,
  )
  return names.filter(name => name !== 'koa-atomic-session')
}

function isProgram(kind: string): boolean {
  return kind === '' || kind === 'run'
}

interface File {
  readonly name: string
  readonly text: string
}

function programOf({ at, language, text }: Block): File {
  return { name: `${at.replace(/\W/g, '_')}.${language === 'js' ? 'cjs' : 'ts'}`, text }
}

/** All handlers as one app with a path for each. */
function handlersFile(): File {
  const bodies = handlers.map(({ text }) => `async ctx => {\n${text}\nctx.body = 'done'\n}`)
  const text = `
import assert from 'node:assert/strict'
import Koa from 'koa'
import Session, { type SessionContext, SessionEndedError } from 'koa-atomic-session'
import { memoryStore } from 'koa-atomic-session/memory'
${shared.join('\n')}
const app = new Koa<Koa.DefaultState, SessionContext<Shop>>()
app.keys = ['a key of these tests, which is long enough']
app.silent = true
Session<Shop>(app, { store: memoryStore() })
const handlers: Koa.Middleware<Koa.DefaultState, SessionContext<Shop>>[] = [\n${bodies.join(',\n')}\n]
app.use(async (ctx, next) => {
  try {
    await handlers[Number(ctx.path.slice(1))]?.(ctx, next)
  } catch (error) {
    ctx.throw(400, String(error))
  }
})
app.listen(3000)
`
  return { name: 'handlers.ts', text }
}

/** The compiler's complaints about some files, each a module. */
async function faultsIn(files: File[], name: string): Promise<string> {
  const here = join(folder, name)
  await mkdir(here)
  for (const file of files) await writeFile(join(here, file.name), file.text)
  const settings = {
    extends: join(root, 'tsconfig.json'),
    // Examples leave things unused that their readers will use.
    compilerOptions: { noUnusedLocals: false, typeRoots: [join(root, 'node_modules/@types')] },
    files: files.map(file => file.name),
    include: [],
    exclude: [],
  }
  await writeFile(join(here, 'tsconfig.json'), JSON.stringify(settings))
  return tsc('-p', here, '--pretty', 'false')
}

async function tsc(...args: string[]): Promise<string> {
  const finished = execute(process.execPath, [compiler, ...args], { cwd: root })
  const { stdout } = await finished.catch((error: { stdout?: string }) => {
    if (error.stdout) return { stdout: error.stdout }
    throw error
  })
  return stdout
}

function onFreePort(text: string): string {
  return text.replace(
    'app.listen(3000)',
    "app.listen(0, function () { console.log('listening on ' + this.address().port) })",
  )
}

/** Starts a program; stopped when the test ends. */
async function started(t: TestContext, { name, text }: File): Promise<string> {
  const file = join(folder, name)
  await writeFile(file, text)
  const program = spawn(process.execPath, ['--import', 'tsx', file], {
    // What a program stores beside itself is removed with it.
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(program, 'exit')
  t.after(async () => {
    program.kill()
    await ended
  })
  for await (const line of createInterface(program.stdout)) {
    const port = /^listening on (\d+)$/.exec(line)?.[1]
    if (port) return `http://localhost:${port}`
  }
  throw new Error(`${name} ended before it listened`)
}

/** The cells of the first table under a heading, row by row, without the header. */
function tableUnder(document: string, title: string): string[][] {
  const section = `\n${read(document)}`.split(`\n${title}\n`)[1]?.split(/\n#{2,3} /)[0] ?? ''
  const [table = ''] = /(?:^\|.*\n)+/m.exec(section) ?? []
  const rows = table.trimEnd().split('\n').slice(2)
  return rows.map(row =>
    row
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map(cell => cell.trim()),
  )
}

/** Markdown's code as text. */
function plain(text: string): string {
  return text.replaceAll('`', '')
}

interface Option {
  readonly name: string
  readonly value: string | undefined
}

/** The members of an interface, with what their comments call the default. */
function optionsOf(file: string, type: string): Option[] {
  const body =
    new RegExp(`^export interface ${type}(?:<[^\\n]*>)? \\{\\n(.*?)^\\}`, 'ms').exec(read(file))?.[1] ?? ''
  return Array.from(body.matchAll(/\/\*\*((?:(?!\*\/).)*)\*\/\s+(?:readonly )?(\w+)\?:/gs), match => {
    const value = /@default (.*)/.exec(match[1] ?? '')?.[1]
    return { name: match[2] ?? '', value: value && plain(value.trim()) }
  })
}

/** As GitHub makes them of headings. */
function anchorsOf(file: string): string[] {
  const headings = read(file).matchAll(/^#+ (.*)$/gm)
  return Array.from(headings, ([, text = '']) =>
    text
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
}
