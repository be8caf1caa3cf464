import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { isBuiltin } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'

const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))

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
    console.log(typeof Session, typeof Session.mongoStore, new Session.SessionEndedError().status)`
  assert.equal(await printed('commonjs', program), 'function function 401')
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
    import { lmdbStore } from 'koa-atomic-session/lmdb'
    import { memoryStore } from 'koa-atomic-session/memory'
    console.log(typeof lmdbStore, typeof memoryStore().load)`
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

test('the LMDB store says which package it needs', async t => {
  const program = `
    import('koa-atomic-session/lmdb')
      .then(({ lmdbStore }) => lmdbStore({ path: 'sessions.lmdb' }))
      .catch(({ name, message }) => console.log(name, message))`
  assert.match(await printedWith(t, ['bson'], program), /^ConfigurationError .*npm install lmdb$/)
})

test('the main entry is less than 80 KiB of our own code, and asks for no more than its dependencies', async () => {
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
  assert.ok(size < 80 * 1024, `${size} bytes`)
  const asked = Object.values(metafile.outputs).flatMap(({ imports }) => imports.map(({ path }) => path))
  const packages = [...new Set(asked)].filter(name => !isBuiltin(name))
  assert.deepEqual(packages.toSorted(), ['keygrip', 'parse-duration'])
})
