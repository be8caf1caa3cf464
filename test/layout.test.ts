import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { dirname, join, normalize } from 'node:path/posix'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { filesMatching } from './support/runner/files.ts'

/** Each room, the rooms that it may import beside itself and the vocabulary, and the packages; each has a sentence in CONTRIBUTING.md. */
const ROOMS: Readonly<
  Record<string, { readonly rooms: readonly string[]; readonly packages: readonly string[] }>
> = {
  language: { rooms: [], packages: [] },
  store: { rooms: ['language'], packages: [] },
  session: { rooms: ['language', 'store'], packages: [] },
  http: { rooms: ['language', 'store', 'session'], packages: ['keygrip'] },
  koa: { rooms: ['language', 'store', 'session', 'http'], packages: [] },
  adopt: { rooms: ['language', 'http'], packages: ['keygrip'] },
  testing: { rooms: ['language', 'store', 'session', 'http', 'stores'], packages: [] },
}

/** The operator's tool, which is all that reaches for drivers by itself. */
const TOOL = {
  rooms: ['language', 'store', 'stores'],
  packages: ['bson', 'ioredis', 'iovalkey', 'mongodb', 'pg', 'postgres', 'redis'],
}

/** Files that every room may import, and that import only each other. */
const VOCABULARY = ['duration.ts', 'errors.ts', 'events.ts', 'ids.ts', 'reports.ts', 'shown.ts']
const PACKAGES_OF_VOCABULARY = ['parse-duration']

const root = fileURLToPath(new URL('..', import.meta.url))

interface Import {
  /** The importing file, below src/. */
  readonly from: string
  /** A file below src/, or a package. */
  readonly to: string
  readonly isPackage: boolean
  /** Gone once it is compiled. */
  readonly isType: boolean
}

const files = await filesMatching(root, ['src/**/*.ts', 'src/**/*.cjs'])
const imports = files.flatMap(importsOf)

/** A statement may go over several lines; a type's `import('…')` and a dynamic or required one are found by their calls. */
function importsOf(file: string): Import[] {
  const source = withoutComments(readFileSync(join(root, file), 'utf8'))
  const from = file.slice('src/'.length)
  const statements = source.matchAll(/^(?:import|export)\s(type\s)?(?:[^'";=()]*\sfrom\s+)?'([^']+)'/gm)
  const calls = source.matchAll(/(typeof\s+)?\b(?:import|require|createRequire\([^)]*\))\(\s*'([^']+)'/g)
  return [...statements, ...calls].map(([, type, name = '']) => {
    const isPackage = !name.startsWith('.')
    return {
      from,
      to: isPackage ? name : normalize(join(dirname(from), name)),
      isPackage,
      isType: type !== undefined,
    }
  })
}

function withoutComments(source: string): string {
  return source.replace(/\/\*.*?\*\//gs, '').replace(/^\s*\/\/.*$/gm, '')
}

function roomOf(file: string): string {
  return file.includes('/') ? file.slice(0, file.indexOf('/')) : file
}

function shown({ from, to }: Import): string {
  return `${from} imports ${to}`
}

function among(room: string): Import[] {
  return imports.filter(({ from }) => roomOf(from) === room)
}

function packagesOf(room: string): Import[] {
  return among(room).filter(({ to, isPackage }) => isPackage && !to.startsWith('node:'))
}

function isKoas(name: string): boolean {
  return /^(?:koa|@koa\/.*|koa-.*)$/.test(name)
}

function assertNone(found: Import[]): void {
  assert.deepEqual(found.map(shown), [])
}

/** A store is a file, or a folder where it needs several: memory.ts, mongodb/store.ts. */
function storeOf(file: string): string {
  return file.replace(/^stores\//, '').replace(/[./].*$/, '')
}

/** What is no store, and there for all of them. */
const SHARED_BY_STORES = [
  'stores/bson.ts',
  'stores/draft.ts',
  'stores/elements.ts',
  'stores/fieldbytes.ts',
  'stores/fields.ts',
  'stores/packages.ts',
  'stores/require.cjs',
  'stores/swapping.ts',
]

test('the import lines are all read', () => {
  for (const file of files) {
    const source = readFileSync(join(root, file), 'utf8')
    const lines = source.match(/^(?:import\b|.*\bfrom '[^']+'$)/gm) ?? []
    const own = imports.filter(({ from }) => `src/${from}` === file)
    assert.ok(own.length >= lines.filter(line => line.includes("from '")).length, file)
  }
  assert.ok(imports.length > 100)
})

test('every file is in one of the rooms', () => {
  const rooms = new Set(files.map(file => roomOf(file.slice('src/'.length))))
  assert.deepEqual(
    [...rooms].sort(),
    ['cli', 'index.ts', 'stores', ...VOCABULARY, ...Object.keys(ROOMS)].sort(),
  )
})

test('what is imported exists, by its full name', () => {
  assertNone(imports.filter(({ to, isPackage }) => !isPackage && !files.includes(`src/${to}`)))
})

test("Node's own modules are imported as such", () => {
  assertNone(imports.filter(({ to, isPackage }) => isPackage && isBuiltin(to) && !to.startsWith('node:')))
})

for (const [room, { rooms, packages }] of Object.entries(ROOMS)) {
  test(`${room}/ imports only ${[room, ...rooms].join(', ')} and the vocabulary`, () => {
    const allowed = [room, ...rooms, ...VOCABULARY]
    assertNone(among(room).filter(({ to, isPackage }) => !isPackage && !allowed.includes(roomOf(to))))
    assertNone(packagesOf(room).filter(({ to, isType }) => !packages.includes(to) && !(isType && isKoas(to))))
  })
}

test('the vocabulary imports only itself', () => {
  const own = VOCABULARY.flatMap(among)
  assertNone(own.filter(({ to, isPackage }) => !isPackage && !VOCABULARY.includes(to)))
  assertNone(VOCABULARY.flatMap(packagesOf).filter(({ to }) => !PACKAGES_OF_VOCABULARY.includes(to)))
})

test('stores import only stores, language, store and the vocabulary', () => {
  const allowed = ['stores', 'language', 'store', ...VOCABULARY]
  assertNone(among('stores').filter(({ to, isPackage }) => !isPackage && !allowed.includes(roomOf(to))))
})

test('cli/ imports only stores, language, store and the vocabulary, and is imported by none', () => {
  const allowed = ['cli', ...TOOL.rooms, ...VOCABULARY]
  assertNone(among('cli').filter(({ to, isPackage }) => !isPackage && !allowed.includes(roomOf(to))))
  assertNone(packagesOf('cli').filter(({ to }) => !TOOL.packages.includes(to)))
  assertNone(
    imports.filter(({ from, to, isPackage }) => !isPackage && roomOf(to) === 'cli' && roomOf(from) !== 'cli'),
  )
})

test('cli/ loads a driver only where it is asked for', () => {
  const drivers = TOOL.packages.filter(name => name !== 'bson')
  const loaded = loadedBy('cli/main.ts').filter(({ to }) => drivers.includes(to))
  assert.deepEqual(new Set(loaded.map(({ from }) => from)), new Set(['cli/drivers.ts']))
  assert.doesNotMatch(
    readFileSync(join(root, 'src/cli/drivers.ts'), 'utf8'),
    /^import [^;]* from '(?!node:|\.)/m,
  )
})

test('no store sees another', () => {
  const between = among('stores').filter(({ to, isPackage }) => !isPackage && roomOf(to) === 'stores')
  assertNone(
    between.filter(({ from, to }) => !SHARED_BY_STORES.includes(to) && storeOf(from) !== storeOf(to)),
  )
})

test('only koa/ knows Koa, and adopt/ whose sessions came with it, and as types only', () => {
  const ofKoa = imports.filter(({ to }) => isKoas(to))
  assert.ok(ofKoa.length > 0)
  assertNone(ofKoa.filter(({ from, isType }) => !['koa', 'adopt'].includes(roomOf(from)) || !isType))
})

test('only http/ and adopt/ know how cookies are signed', () => {
  assertNone(imports.filter(({ from, to }) => to === 'keygrip' && !['http', 'adopt'].includes(roomOf(from))))
})

test('index.ts is imported by none and imports no package itself', () => {
  assertNone(imports.filter(({ to }) => to === 'index.ts'))
  assertNone(among('index.ts').filter(({ isPackage }) => isPackage))
})

test('the main entry loads no driver', () => {
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  const packages = loadedBy('index.ts').filter(({ to, isPackage }) => isPackage && !to.startsWith('node:'))
  assert.deepEqual([...new Set(packages.map(({ to }) => to))].sort(), [
    ...new Set(Object.values(ROOMS).flatMap(({ packages }) => packages)),
    ...PACKAGES_OF_VOCABULARY,
  ])
  assertNone(packages.filter(({ to }) => !Object.hasOwn(dependencies, to)))
})

test('what users test with is loaded by nothing else', () => {
  assertNone(imports.filter(({ from, to }) => roomOf(to) === 'testing' && roomOf(from) !== 'testing'))
})

test('nothing is loaded in a circle', () => {
  for (const file of files) {
    const name = file.slice('src/'.length)
    assertNone(loadedBy(name).filter(({ to }) => to === name))
  }
})

// V8 makes such a function among old objects, where it keeps all that it uses, a whole request, from being collected young.
test('no function is assigned to a property where it is written', () => {
  const assigned =
    /^\s*(?:this|\w+)(?:\.#?\w+)+ \??= (?:function\b|(?:async )?(?:\([^()]*\)(?:: [^=]+)?|\w+) =>)/m
  assert.match('  ctx.onerror = thrown => {', assigned)
  assert.match('  this.#tell = (): void => carrier.clear()', assigned)
  assert.deepEqual(
    files.filter(file => assigned.test(readFileSync(join(root, file), 'utf8'))),
    [],
  )
})

/** All imports, one after another, of what a file loads when it runs. */
function loadedBy(file: string): Import[] {
  const loaded: Import[] = []
  const seen = new Set<string>()
  const waiting = [file]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const one of imports) {
      if (one.from !== next || one.isType) continue
      loaded.push(one)
      if (one.isPackage || seen.has(one.to)) continue
      seen.add(one.to)
      waiting.push(one.to)
    }
  }
  return loaded
}
