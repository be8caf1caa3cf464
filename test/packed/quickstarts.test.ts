import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, suite, type TestContext, test } from 'node:test'
import { documents, read } from '../support/documents.ts'
import { withoutMongoDB } from '../support/mongodb/collection.ts'
import { withoutPostgreSQL } from '../support/postgres/database.ts'
import { startPostgreSQL } from '../support/postgres/server.ts'
import { RedisServer, withoutRedis } from '../support/redis/server.ts'
import { aProject, inOurVersion, type Project } from './package.ts'

// The programs with which README.md, docs/start.md and each page of docs/stores begin, as they are printed but for the port and
// the addresses of databases, in empty projects that have the packed package.

interface QuickStart {
  /** Where it is, for people: `docs/start.md:20`. */
  readonly at: string
  readonly language: string
  readonly text: string
}

const quickStarts: QuickStart[] = documents
  .filter(document => /^(?:README|docs\/start|docs\/stores\/\w+)\.md$/.test(document))
  .flatMap(document => {
    const text = read(document)
    return Array.from(text.matchAll(/^```(ts|js)(?: \w+)?\n(.*?)^```$/gms), found => ({
      at: `${document}:${text.slice(0, found.index).split('\n').length}`,
      language: found[1] ?? '',
      text: found[2] ?? '',
    }))
  })
  .filter(({ text }) => text.includes('app.listen(3000)\n'))

/** What the pages say to install, with the types that TypeScript needs. */
const PACKAGES = ['koa', 'bson', 'mongodb', 'redis', 'pg', 'libsql']
const TYPES = ['typescript', '@types/koa', '@types/node', '@types/pg']

/** The addresses that the programs name, and where these servers are in the tests. */
const addresses = new Map<string, string>()

const isTyped = ({ text }: QuickStart) => /^interface /m.test(text)

interface Kind {
  readonly manifest: Readonly<Record<string, unknown>>
  readonly packages: readonly string[]
  /** The name of the file that a program is saved as; `undefined` where it is none for such a project. */
  named(program: QuickStart, name: string): string | undefined
  /** What a compiler is told, if there is one. */
  readonly compiler?: Readonly<Record<string, unknown>>
}

const typed = {
  manifest: { type: 'module' },
  packages: [...PACKAGES, ...TYPES],
  named: ({ language }: QuickStart, name: string) => (language === 'ts' ? `${name}.ts` : undefined),
}

const kinds: Readonly<Record<string, Kind>> = {
  'an ECMAScript project': {
    manifest: { type: 'module' },
    packages: PACKAGES,
    named: (program, name) =>
      isTyped(program) ? undefined : `${name}.${program.language === 'js' ? 'cjs' : 'js'}`,
  },
  'a CommonJS project': {
    manifest: {},
    packages: PACKAGES,
    named: (program, name) =>
      isTyped(program) ? undefined : `${name}.${program.language === 'js' ? 'js' : 'mjs'}`,
  },
  'a TypeScript project whose module is nodenext': { ...typed, compiler: { module: 'nodenext' } },
  'a TypeScript project that resolves as bundlers do': {
    ...typed,
    compiler: { module: 'preserve', moduleResolution: 'bundler' },
  },
}

/** Why a program cannot be run here, or `false`. */
function without({ text }: QuickStart): string | false {
  if (text.includes('mongodb://')) return withoutMongoDB
  if (text.includes('postgres://')) return withoutPostgreSQL
  return text.includes('redis://') && withoutRedis
}

test('each store has a program to begin with', () => {
  const pages = documents.filter(document => /^docs\/stores\/(?!index)/.test(document))
  assert.deepEqual(
    pages.filter(page => !quickStarts.some(({ at }) => at.startsWith(`${page}:`))),
    [],
  )
})

const servers: { stop(): Promise<void> }[] = []
after(() => Promise.all(servers.map(server => server.stop())))

before(async () => {
  if (process.env.MONGODB_URI) {
    const uri = new URL(process.env.MONGODB_URI)
    uri.pathname = `/quick-${randomUUID().slice(0, 8)}`
    addresses.set('mongodb://localhost:27017/shop', uri.href)
  }
  const redis = withoutRedis ? undefined : await RedisServer.start()
  if (redis) {
    servers.push(redis)
    addresses.set('redis://localhost:6379', `redis://127.0.0.1:${redis.port}`)
  }
  const postgresql = await startPostgreSQL()
  if (postgresql) {
    servers.push(postgresql)
    addresses.set('postgres://localhost/shop', postgresql.uri)
  }
})

for (const [kind, { manifest, packages, named, compiler }] of Object.entries(kinds)) {
  suite(`in ${kind}`, () => {
    const programs = quickStarts.flatMap((program, index) => {
      const name = named(program, `program${index}`)
      return name === undefined ? [] : [{ program, name }]
    })
    let project: Project
    let reason: string | undefined

    before(async () => {
      const made = await aProject(manifest, await Promise.all(packages.map(inOurVersion)))
      if (typeof made === 'string') {
        reason = made
        return
      }
      project = made
      for (const { program, name } of programs) await project.write(name, changed(program.text))
    })

    if (compiler) {
      test('all of them compile', async t => {
        if (reason) return t.skip(reason)
        const compilerOptions = {
          target: 'es2022',
          types: ['node'],
          strict: true,
          skipLibCheck: true,
          rootDir: '.',
          outDir: 'out',
          ...compiler,
        }
        const include = programs.map(({ name }) => name)
        await project.write('tsconfig.json', JSON.stringify({ compilerOptions, include }))
        assert.equal(await printedBy(['node_modules/typescript/bin/tsc'], project.path), '')
      })
    }

    for (const { program, name } of programs) {
      test(`a visit is counted: ${program.at}`, { skip: without(program) }, async t => {
        if (reason) return t.skip(reason)
        const file = compiler ? join('out', name.replace(/ts$/, 'js')) : name
        const url = await started(t, project.path, file)
        const first = await fetch(url)
        assert.match(await first.text(), /\b1\b/)
        const [cookie = ''] = first.headers.getSetCookie()
        const second = await fetch(url, { headers: { cookie: cookie.split(';')[0] ?? '' } })
        assert.match(await second.text(), /\b2\b/)
      })
    }
  })
}

/** With a free port, which it tells, and the servers of the tests. */
function changed(text: string): string {
  let program = text.replace(
    'app.listen(3000)\n',
    "const server = app.listen(0, () => console.log('listening on ' + JSON.stringify(server.address())))\n",
  )
  for (const [from, to] of addresses) program = program.replace(from, to)
  return program
}

/** Starts a program; stopped when the test ends. */
async function started(t: TestContext, cwd: string, file: string): Promise<string> {
  const program = spawn(process.execPath, [file], { cwd, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(program, 'exit')
  t.after(async () => {
    program.kill()
    await ended
  })
  for await (const line of createInterface(program.stdout)) {
    const [, port] = /^listening on .*"port":(\d+)/.exec(line) ?? []
    if (port) return `http://localhost:${port}`
  }
  throw new Error(`${file} ended before it listened`)
}

/** What Node prints where it fails. */
function printedBy(args: string[], cwd: string): Promise<string> {
  return new Promise(resolve => {
    execFile(process.execPath, args, { cwd }, (error, stdout, stderr) => {
      resolve(error ? `${stdout}${stderr}` || String(error) : '')
    })
  })
}
