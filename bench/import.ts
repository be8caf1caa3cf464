import { execFileSync } from 'node:child_process'
import { buildSync } from 'esbuild'
import { build, folder } from './built.ts'
import { spreadOf } from './figures.ts'
import { shown } from './tables.ts'

// How long the main entry takes to import, and how much of our own code that is: npm run bench:import [rounds]

const ROUNDS = Number(process.argv[2] ?? 15)
/** Of what Koa takes. */
const MAX_RATIO = 0.25
const MAX_KIB = 60

build()
const packages = new URL('../node_modules/', import.meta.url)
const main = new URL('index.js', folder)
const koa = new URL('koa/dist/koa.mjs', packages)

/** Each is a process, whose imports are timed one after the other. */
const programs: Readonly<Record<string, readonly (readonly [name: string, url: string])[]>> = {
  nothing: [['nothing', 'data:text/javascript,']],
  keygrip: [['keygrip', new URL('keygrip/index.js', packages).href]],
  'parse-duration': [['parse-duration', new URL('parse-duration/index.js', packages).href]],
  mongodb: [['mongodb', new URL('mongodb/lib/index.js', packages).href]],
  ours: [['koa-atomic-session, alone', main.href]],
  // As in an app: what both need is there by then.
  app: [
    ['koa', koa.href],
    ['koa-atomic-session, after koa', main.href],
  ],
}

/** Milliseconds for each import, in a new process. */
function importsOf(urls: readonly string[]): number[] {
  const script = `const took = []
for (const url of ${JSON.stringify(urls)}) {
  const begun = performance.now()
  await import(url)
  took.push(performance.now() - begun)
}
console.log(JSON.stringify(took))`
  const args = ['--input-type=module', '--eval', script]
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }))
}

const took = new Map<string, number[]>()
const ratios: number[] = []
for (let round = 0; round < ROUNDS; round++) {
  for (const [program, imports] of Object.entries(programs)) {
    const times = importsOf(imports.map(([, url]) => url))
    for (const [index, [name]] of imports.entries()) {
      took.set(name, [...(took.get(name) ?? []), times[index] ?? Number.NaN])
    }
    const [ofKoa = Number.NaN, ofOurs = Number.NaN] = times
    if (program === 'app') ratios.push(ofOurs / ofKoa)
  }
}
console.log(`import, milliseconds; median of ${ROUNDS} interleaved rounds (least–most)`)
for (const [name, times] of took) console.log(name.padEnd(30), shown(spreadOf(times), 1))

// All that the import loads but its dependencies, as one file.
const { outputFiles } = buildSync({
  entryPoints: [main.pathname],
  bundle: true,
  minify: true,
  write: false,
  format: 'esm',
  platform: 'node',
  packages: 'external',
})
const kib = (outputFiles[0]?.contents.length ?? Number.NaN) / 1024
const spread = spreadOf(ratios)
console.log(`\nafter koa, of what koa takes: ${shown(spread, 2)}`)
goal(`import at most ${MAX_RATIO} of Koa's, in an app`, spread.median <= MAX_RATIO)
goal(`our own code, minified, at most ${MAX_KIB} KiB: ${kib.toFixed(1)}`, kib <= MAX_KIB)

function goal(what: string, isMet: boolean): void {
  console.log(`${isMet ? 'met    ' : 'NOT MET'} ${what}`)
}
