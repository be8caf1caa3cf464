import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { isBuiltin } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { before, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'

const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))

type Dependencies = {
  readonly [kind in
    | 'dependencies'
    | 'devDependencies'
    | 'optionalDependencies'
    | 'peerDependencies']?: Record<string, string>
}

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Dependencies & {
  exports: Record<string, unknown>
  bin: Record<string, string>
}

/** What a user's program prints, run where the package finds itself by its own name. */
async function printed(type: 'module' | 'commonjs', program: string): Promise<string> {
  const { stdout } = await run(process.execPath, [`--input-type=${type}`, '--eval', program], { cwd: root })
  return stdout.trim()
}

before(async () => {
  await run('npm', ['run', 'build'], { cwd: root })
})

test('require() gives the function itself, with everything else as its properties', async () => {
  const program = `
    const Session = require('koa-atomic-session')
    console.log(typeof Session, typeof Session.mongoStore, new Session.SessionEndedError().status)
    console.log(Session.default === Session, Session['module.exports'] === Session)`
  assert.equal(await printed('commonjs', program), 'function function 401\ntrue true')
})

test('require() gives, on each path, all that import gives and the types declare', async () => {
  const names = Object.keys(manifest.exports).filter(path => path !== './package.json')
  const program = `
    import { createRequire } from 'node:module'
    const require = createRequire(process.cwd() + '/program.js')
    for (const path of ${JSON.stringify(names)}) {
      const name = path.replace('.', 'koa-atomic-session')
      const imported = { ...(await import(name)) }
      const required = require(name)
      const differing = Object.keys(imported).filter(key => imported[key] !== required[key])
      if (Object.keys(imported).length === 0 || differing.length > 0) console.log(path, differing)
    }`
  assert.equal(await printed('module', program), '')
})

test('import gives the same function as default, and the rest by name', async () => {
  const program = `
    import Session, { mongoStore } from 'koa-atomic-session'
    import { createRequire } from 'node:module'
    const require = createRequire(process.cwd() + '/program.js')
    console.log(typeof Session, Session.mongoStore === mongoStore, require('koa-atomic-session') === Session)`
  assert.equal(await printed('module', program), 'function true true')
})

test('stores are imported by their own paths', async () => {
  const program = `
    import { sqliteStore } from 'koa-atomic-session/sqlite'
    import { memoryStore } from 'koa-atomic-session/memory'
    console.log(typeof sqliteStore, typeof memoryStore().load)`
  assert.equal(await printed('module', program), 'function function')
})

/** What a program prints where the package is installed with nothing but the named ones. */
async function printedWith(t: TestContext, packages: string[], program: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'package-'))
  t.after(() => rm(folder, { recursive: true }))
  const modules = join(folder, 'node_modules')
  await cp(join(root, 'dist'), join(modules, 'koa-atomic-session', 'dist'), { recursive: true })
  await cp(join(root, 'package.json'), join(modules, 'koa-atomic-session', 'package.json'))
  for (const name of ['keygrip', 'parse-duration', 'tsscmp', ...packages]) {
    await cp(join(root, 'node_modules', name), join(modules, name), { recursive: true })
  }
  const { stdout } = await run(process.execPath, ['--eval', program], { cwd: folder })
  return stdout.trim()
}

test('the main entry needs no driver, nor anything else that is not a dependency', async t => {
  const program = "console.log(typeof require('koa-atomic-session'))"
  assert.equal(await printedWith(t, [], program), 'function')
})

test('the SQLite store says which packages it takes', async t => {
  const program = `
    import('koa-atomic-session/sqlite')
      .then(({ sqliteStore }) => sqliteStore({ path: 'sessions.sqlite' }))
      .catch(({ name, message }) => console.log(name, message))`
  assert.match(await printedWith(t, ['bson'], program), /^ConfigurationError .*npm install libsql$/)
})

test('the stores that need bson are imported without it, and say so when one is made', async t => {
  const program = `
    const { sqliteStore } = require('koa-atomic-session/sqlite')
    const { memoryStore } = require('koa-atomic-session/memory')
    const { storeContract } = require('koa-atomic-session/testing')
    for (const make of [() => sqliteStore({ path: 'sessions.sqlite' }), memoryStore, storeContract]) {
      try {
        make()
      } catch ({ name, message }) {
        console.log(name + ': ' + message)
      }
    }`
  assert.deepEqual((await printedWith(t, [], program)).split('\n'), [
    'ConfigurationError: sqliteStore needs the package bson, which is not installed: npm install bson',
    'ConfigurationError: memoryStore needs the package bson, which is not installed: npm install bson',
    'ConfigurationError: storeContract needs the package bson, which is not installed: npm install bson',
  ])
})

/** What the operator's tool prints there, and the code that it ends with. */
function toolIn(t: TestContext, packages: string[], ...args: string[]): Promise<string> {
  const program = `
    process.argv.push('koa-atomic-session', ...${JSON.stringify(args)})
    process.once('exit', code => {
      console.log(code)
      process.exitCode = 0
    })
    import('./node_modules/koa-atomic-session/${manifest.bin['koa-atomic-session']}')`
  return printedWith(t, packages, program)
}

test("the operator's tool needs no more than the driver of the store that it is asked for", async t => {
  assert.match(await toolIn(t, [], 'keys'), /^[\w-]{43}\n0$/)
  assert.match(await toolIn(t, [], 'schema', 'prisma'), /^model Sessions \{$/m)
  const missing = await toolIn(t, [], 'count', 'mongodb://localhost/shop', '--json')
  assert.match(missing, /needs the package mongodb, which is not installed: npm install mongodb"\n\}\n2$/)
  const second = await toolIn(t, ['bson'], 'count', 'redis://localhost', '--json')
  assert.match(
    second,
    /needs the package redis \(or ioredis, or iovalkey\), which is not installed: npm install redis"/,
  )
})

interface Bundling {
  readonly format: 'cjs' | 'esm'
  /** Packages that the bundle finds where it runs. */
  readonly external?: readonly string[]
}

/** What a program prints as a bundle. Its warnings would be a user's. */
async function printedAsBundle(t: TestContext, bundling: Bundling, contents: string): Promise<string> {
  const { format, external = [] } = bundling
  const cache = join(root, 'node_modules/.cache')
  await mkdir(cache, { recursive: true })
  const folder = await mkdtemp(external.length > 0 ? join(cache, 'bundle-') : join(tmpdir(), 'bundle-'))
  t.after(() => rm(folder, { recursive: true }))
  const outfile = join(folder, format === 'cjs' ? 'program.cjs' : 'program.mjs')
  const { warnings } = await build({
    stdin: { contents, resolveDir: root },
    bundle: true,
    platform: 'node',
    format,
    outfile,
    // What is native need not be named.
    external: external.filter(name => name !== 'libsql'),
    logLevel: 'silent',
  })
  assert.deepEqual(warnings, [])
  const { stdout } = await run(process.execPath, [outfile], { cwd: folder })
  return stdout.trim()
}

const keepingAnId = `
  import { memoryStore } from 'koa-atomic-session/memory'
  import { ObjectId } from 'mongodb'
  const store = memoryStore()
  const dates = { created: new Date(), expires: new Date(Date.now() + 60_000) }
  const fields = { user_id: new ObjectId() }
  store.insert({ id: 'a', rev: 1, maxAge: 60_000, ...dates, fields })
    .then(() => store.load('a'))
    .then(record => console.log(record.fields.user_id instanceof ObjectId))`

for (const [title, options] of Object.entries({
  'a CommonJS bundle': { format: 'cjs' },
  'a CommonJS bundle that leaves the driver outside': { format: 'cjs', external: ['mongodb', 'bson'] },
  'an ECMAScript bundle that leaves the driver outside': { format: 'esm', external: ['mongodb', 'bson'] },
} satisfies Record<string, Bundling>)) {
  test(`in ${title} the memory store gives back the driver's own types`, async t => {
    assert.equal(await printedAsBundle(t, options, keepingAnId), 'true')
  })
}

test('in an ECMAScript bundle the memory store runs', async t => {
  const program = `
    import { memoryStore } from 'koa-atomic-session/memory'
    console.log(typeof memoryStore().load)`
  assert.equal(await printedAsBundle(t, { format: 'esm' }, program), 'function')
})

for (const format of ['cjs', 'esm'] as const) {
  test(`the SQLite store runs in a bundle of format ${format}, which its package is not part of`, async t => {
    const program = `
      import { sqliteStore } from 'koa-atomic-session/sqlite'
      const store = sqliteStore({ path: 'sessions.sqlite' })
      store.load('a'.repeat(64)).then(found => {
        console.log(typeof found)
        return store.close()
      })`
    assert.equal(await printedAsBundle(t, { format, external: ['libsql'] }, program), 'undefined')
  })
}

test('who follows a source map finds the source in it, since the package has no other', async () => {
  const files = await readdir(join(root, 'dist'), { recursive: true })
  const maps = files.filter(name => name.endsWith('.map'))
  assert.ok(maps.length > 0)
  for (const file of maps) {
    const { sources, sourcesContent } = JSON.parse(readFileSync(join(root, 'dist', file), 'utf8'))
    assert.equal(sourcesContent.length, sources.length, file)
    assert.ok(
      sourcesContent.every((text: unknown) => typeof text === 'string'),
      file,
    )
  }
})

test('whoever imports an entry loads at most twelve files of the package', async () => {
  for (const target of Object.values(manifest.exports)) {
    if (typeof target !== 'object' || target === null || !('default' in target)) continue
    const loaded = new Set<string>()
    loadedBy(join(root, String(target.default)), loaded)
    assert.ok(loaded.size <= 12, `${target.default} loads ${loaded.size}`)
  }
})

/** A file and all that it imports statically, as built. */
function loadedBy(file: string, loaded: Set<string>): void {
  if (loaded.has(file)) return
  loaded.add(file)
  for (const [, name = ''] of readFileSync(file, 'utf8').matchAll(
    /^(?:import\b|\} from )[^"]*"(\.[^"]*)"/gm,
  )) {
    loadedBy(join(dirname(file), name), loaded)
  }
}

// All that is loaded with it but its dependencies, as one minified file. A good part are messages that name a mistake and the way out.
test('the main entry is less than 124 KiB of our own code, and asks for no more than its dependencies', async () => {
  const { outputFiles, metafile } = await build({
    entryPoints: [join(root, 'dist', 'index.js')],
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
  })
  const size = outputFiles[0]?.contents.length ?? Number.NaN
  assert.ok(size < 124 * 1024, `${size} bytes`)
  const asked = Object.values(metafile.outputs).flatMap(({ imports }) => imports.map(({ path }) => path))
  const packages = [...new Set(asked)].filter(name => !isBuiltin(name))
  assert.deepEqual(packages.toSorted(), ['keygrip', 'parse-duration'])
})

test('the lock file is of this package.json, has the packages of every platform, and says of none where it came from', () => {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Dependencies & { resolved?: string }>
  }
  const { dependencies, devDependencies, peerDependencies } = packages[''] ?? {}
  assert.deepEqual(
    { dependencies, devDependencies, peerDependencies },
    {
      dependencies: manifest.dependencies,
      devDependencies: manifest.devDependencies,
      peerDependencies: manifest.peerDependencies,
    },
  )
  assert.deepEqual(
    Object.keys(packages).filter(path => packages[path]?.resolved !== undefined),
    [],
  )
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      name => !packages[`${path}/node_modules/${name}`] && !packages[`node_modules/${name}`],
    ),
  )
  assert.deepEqual(missing, [])
})
