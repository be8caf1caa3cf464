import assert from 'node:assert/strict'
import { basename } from 'node:path'
import { before, suite, test } from 'node:test'
import { read } from '../support/documents.ts'
import { aProject, inOurVersion, run } from './package.ts'

// docs/writing-a-store.md, followed in an empty folder.

/** The programs of the page's first section, as they are printed. */
const [theStore = '', inNode = '', inVitest = ''] = Array.from(
  (read('docs/writing-a-store.md').split('\n## The interface\n')[0] ?? '').matchAll(/^```js\n(.*?)^```$/gms),
  ([, text = '']) => text,
)

/** What is wrong with a store, and the sentence of the contract that catches it. */
const faults = {
  'it stores what it should only change': [
    `update: async (id, change, answer) => {
      const outcome = await sound.update(id, change, answer)
      if (outcome !== 'absent') return outcome
      const expires = new Date(Date.now() + 60_000)
      await sound.insert({ id, created: new Date(), expires, maxAge: 60_000, rev: 1, fields: {} })
      return sound.update(id, change, answer)
    }`,
    'a change to a session that does not exist writes nothing',
  ],
  'it forgets who has ended': [
    'end: (id, tombstone, until, rev) => sound.end(id, tombstone, new Date(0), rev)',
    'an ended session leaves its tombstone and nothing else',
  ],
  'it changes without asking the guards': [
    'update: (id, change, answer) => sound.update(id, { ...change, guards: [] }, answer)',
    'of hundreds who would spend at once no one overdraws',
  ],
  'it reads, waits and writes': [
    `update: async (id, change, answer) => {
      const found = await sound.load(id)
      if (!found || 'ended' in found) return sound.update(id, change, answer)
      await new Promise(resolve => setImmediate(resolve))
      await sound.delete(id)
      await sound.insert(found)
      return sound.update(id, change, answer)
    }`,
    'of hundreds of changes at once none is lost',
  ],
  'it gives away what it keeps': [
    `load: async id => {
      const found = await sound.load(id)
      const known = kept.get(id)
      if (found && known && known.rev === found.rev) return known
      if (found) kept.set(id, found)
      return found
    }`,
    'altering what was loaded does not alter the session',
  ],
} as const

/** The store of the page, of which a method is another one. */
function broken(method: string): string {
  return `
import { myStore as soundStore } from './my-store.js'
export function myStore(memory) {
  const sound = soundStore(memory)
  const kept = new Map()
  return { ...sound, ${method} }
}`
}

/** The titles of the tests of a file. */
interface Results {
  readonly passed: readonly string[]
  readonly failed: readonly string[]
}

interface Runner {
  /** The test of the store, as it is printed. */
  readonly program: string
  /** What is installed, beside the package and `bson`. */
  readonly packages: readonly string[]
  /** What became of the tests of each file, by its name. */
  results(path: string, files: readonly string[]): Promise<Map<string, Results>>
}

const runners: Record<string, Runner> = {
  'node:test': {
    program: inNode,
    packages: [],
    async results(path, files) {
      const found = new Map<string, Results>()
      for (const file of files) found.set(file, await resultsAsTAP(path, file))
      return found
    },
  },
  Vitest: {
    program: inVitest,
    packages: ['vitest@3'],
    results: (path, files) =>
      resultsAsJSON(path, [
        'node_modules/vitest/vitest.mjs',
        'run',
        '--reporter=json',
        '--testTimeout=60000',
        ...files,
      ]),
  },
}

for (const [name, { program, packages, results }] of Object.entries(runners)) {
  suite(`from the packed package, under ${name}`, () => {
    let found: Map<string, Results>
    let reason: string | undefined

    before(async () => {
      const project = await aProject({ type: 'module' }, [await inOurVersion('bson'), ...packages])
      if (typeof project === 'string') {
        reason = project
        return
      }
      const stores = ['my-store']
      await project.write('my-store.js', theStore)
      for (const [at, [method]] of Object.values(faults).entries()) {
        stores.push(`broken${at}`)
        await project.write(`broken${at}.js`, broken(method))
      }
      for (const store of stores) {
        await project.write(`${store}.test.js`, program.replace('./my-store.js', `./${store}.js`))
      }
      found = await results(
        project.path,
        stores.map(store => `${store}.test.js`),
      )
    })

    test('the contract holds for the store of the page', t => {
      if (reason) return t.skip(reason)
      const { passed = [], failed } = found.get('my-store.test.js') ?? {}
      assert.deepEqual(failed, [])
      assert.ok(passed.length > 250, `${passed.length} tests`)
    })

    for (const [at, [fault, [, caughtBy]]] of Object.entries(faults).entries()) {
      test(`the contract catches a store that is broken: ${fault}`, t => {
        if (reason) return t.skip(reason)
        const { failed = [] } = found.get(`broken${at}.test.js`) ?? {}
        assert.ok(failed.includes(caughtBy), `what failed: ${failed.join('; ') || 'nothing'}`)
      })
    }
  })
}

async function resultsAsTAP(path: string, file: string): Promise<Results> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const printed = await outputOf(['--test', '--test-reporter=tap', file], { cwd: path, env })
  const told = Array.from(printed.matchAll(/^\s*(not )?ok \d+ - (.*)$/gm))
  const titles = (isFailed: boolean) =>
    told.filter(([, not]) => (not !== undefined) === isFailed).map(([, , title = '']) => title)
  return { passed: titles(false), failed: titles(true) }
}

async function resultsAsJSON(path: string, args: string[]): Promise<Map<string, Results>> {
  const printed = await outputOf(args, { cwd: path })
  const { testResults } = JSON.parse(printed.slice(printed.indexOf('{"num'))) as {
    testResults: { name: string; assertionResults: { title: string; status: string }[] }[]
  }
  return new Map(
    testResults.map(({ name, assertionResults: told }) => {
      const titles = (wanted: string) =>
        told.filter(({ status }) => status === wanted).map(({ title }) => title)
      return [basename(name), { passed: titles('passed'), failed: titles('failed') }]
    }),
  )
}

/** What Node prints, whether or not its tests pass. */
async function outputOf(args: string[], options: { cwd: string; env?: NodeJS.ProcessEnv }): Promise<string> {
  try {
    const { stdout } = await run(process.execPath, args, { ...options, maxBuffer: 2 ** 26 })
    return stdout
  } catch (error) {
    return String((error as { stdout?: string }).stdout ?? error)
  }
}
