import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, suite, type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { documents, read, root } from './support/documents.ts'

const execute = promisify(execFile)
const compiler = join(root, 'node_modules/typescript/bin/tsc')

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
  await execute('npm', ['run', '--silent', 'build', '--', join(installed, 'dist')], { cwd: root })
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
    const programs = ['ts', 'ts run', 'ts handler', 'ts shared', 'js', 'js run']
    const known = [...programs, 'sh', 'html', 'json', 'nginx', 'sql', 'txt']
    const kinds = blocks.map(({ language, kind }) => `${language} ${kind}`.trim())
    assert.deepEqual(
      kinds.filter(kind => !known.includes(kind)),
      [],
    )
  })
})

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
