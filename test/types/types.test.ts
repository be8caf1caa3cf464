import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { anAppOf200Fields } from './bigsession.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const types = fileURLToPath(new URL('.', import.meta.url))
const fixtures = fileURLToPath(new URL('fixtures', import.meta.url))
const compiler = join(root, 'node_modules/typescript/bin/tsc')

/** The least version that the README names: the first that reads `export { … as 'module.exports' }`. */
const leastCompiler = join(root, 'node_modules/typescript-5.6/bin/tsc')

interface Fault {
  readonly file: string
  readonly line: number
  readonly message: string
}

test('what a session or a command cannot be does not compile, and the compiler says why', () => {
  const faults = faultsIn(compile(fixtures, '--noErrorTruncation'))
  for (const file of readdirSync(fixtures).filter(name => name.endsWith('.ts'))) {
    const expected = expectationsIn(file)
    for (const { line, message } of expected) {
      const found = faults.filter(fault => fault.file === file && fault.line === line)
      assert.ok(
        found.some(fault => fault.message.includes(message)),
        `${file}:${line} was to fail with\n${message}\nand did with\n${found.map(fault => fault.message).join('\n')}`,
      )
    }
    const stray = faults.filter(
      fault => fault.file === file && !expected.some(({ line }) => line === fault.line),
    )
    assert.deepEqual(stray, [])
  }
})

test('our declarations say the same to the least version of TypeScript that they are promised to', t => {
  const folder = mkdtempSync(join(tmpdir(), 'types-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const emitted = run(root, compiler, '-p', 'tsconfig.build.json', '--outDir', join(folder, 'src'))
  assert.equal(emitted, '')
  mkdirSync(join(folder, 'test/types'), { recursive: true })
  for (const file of readdirSync(types).filter(name => name.endsWith('.ts') && !name.endsWith('.test.ts'))) {
    const source = readFileSync(join(types, file), 'utf8').replace(/(from '\.{1,2}\/.*)\.ts'/g, "$1.js'")
    writeFileSync(join(folder, 'test/types', file), source)
  }
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  const compilerOptions = {
    target: 'es2022',
    module: 'nodenext',
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noEmit: true,
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['test'] }))
  // Not skipLibCheck, so that our own declarations are looked at; those of others may know newer compilers only.
  const faults = run(root, leastCompiler, '-p', folder, '--pretty', 'false').split('\n')
  assert.deepEqual(
    faults.filter(line => line !== '' && !line.includes('node_modules/')),
    [],
  )
})

test('a session type of 200 fields costs the compiler less than a second', t => {
  const folder = mkdtempSync(join(tmpdir(), 'types-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const settings = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: { typeRoots: [join(root, 'node_modules/@types')] },
    include: ['app.ts'],
    exclude: [],
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(settings))
  const seconds = (source: string) => {
    writeFileSync(join(folder, 'app.ts'), source)
    // The least of a few, because the machine may be busy with other things.
    return Math.min(...Array.from({ length: 4 }, () => checkTimeOf(folder)))
  }
  const empty = seconds('export {}\n')
  const app = seconds(anAppOf200Fields(join(root, 'src/session/types.ts')))
  t.diagnostic(`empty ${empty} s, 200 fields and 140 commands ${app} s`)
  assert.ok(app > 0 && app - empty < 1, `it takes ${app} s, and ${empty} s without`)
})

function checkTimeOf(folder: string): number {
  const output = compile(folder, '--extendedDiagnostics')
  assert.deepEqual(
    faultsIn(output).filter(({ file }) => file === 'app.ts'),
    [],
  )
  return Number(/^Check time:\s+([\d.]+)s$/m.exec(output)?.[1])
}

function compile(folder: string, option: string): string {
  return run(folder, compiler, '-p', join(folder, 'tsconfig.json'), '--pretty', 'false', option)
}

function run(cwd: string, ...args: string[]): string {
  const { stdout, error } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8' })
  if (error) throw error
  return stdout
}

/** The compiler's errors; the lines of one that are indented tell more of it. */
function faultsIn(output: string): Fault[] {
  const faults = output.matchAll(/^([^\s(][^(\n]*)\((\d+),\d+\): error ((?:.*)(?:\n\s.*)*)/gm)
  return Array.from(faults, ([, file = '', line, message = '']) => ({ file, line: Number(line), message }))
}

/** What a fixture's comments say of the lines below them. */
function expectationsIn(file: string): Omit<Fault, 'file'>[] {
  const lines = readFileSync(join(fixtures, file), 'utf8').split('\n')
  return lines.flatMap((text, at) => {
    const message = /^\s*\/\/ error: (.*)$/.exec(text)?.[1]
    if (message === undefined) return []
    const below = lines.findIndex((other, index) => index > at && !other.trimStart().startsWith('// error: '))
    return [{ line: below + 1, message }]
  })
}
