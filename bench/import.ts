import { execFileSync } from 'node:child_process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { buildSync } from 'esbuild'
import { build, folder } from './built.ts'
import { spreadOf } from './figures.ts'
import { shown } from './tables.ts'

// How long the main entry takes to import, and how large our own code is: npm run bench:import [rounds]

const ROUNDS = Number(process.argv[2] ?? 15)
const MOST_MS = 30
const MOST_KIB = 60

build()
const main = new URL('index.js', folder)
const require = new URL('../node_modules/', import.meta.url)

const candidates = {
  nothing: 'data:text/javascript,',
  keygrip: new URL('keygrip/index.js', require).href,
  'parse-duration': new URL('parse-duration/index.js', require).href,
  koa: new URL('koa/dist/koa.mjs', require).href,
  mongodb: new URL('mongodb/lib/index.js', require).href,
  'koa-atomic-session': pathToFileURL(fileURLToPath(main)).href,
} as const

/** Milliseconds, in a new process. */
function importOf(url: string): number {
  const script = `const begun = performance.now()
await import(${JSON.stringify(url)})
console.log(performance.now() - begun)`
  return Number(
    execFileSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' }),
  )
}

const took = new Map<string, number[]>()
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, url] of Object.entries(candidates)) {
    const before = took.get(name) ?? []
    took.set(name, [...before, importOf(url)])
  }
}
console.log(`import, milliseconds; median of ${ROUNDS} interleaved rounds (least–most)`)
for (const [name, times] of took) console.log(name.padEnd(20), shown(spreadOf(times), 1))

const { outputFiles } = buildSync({
  entryPoints: [fileURLToPath(main)],
  bundle: true,
  minify: true,
  write: false,
  format: 'esm',
  platform: 'node',
  packages: 'external',
})
const kib = (outputFiles[0]?.contents.length ?? Number.NaN) / 1024
console.log(`\nour own code, minified: ${kib.toFixed(1)} KiB (at most ${MOST_KIB})`)
const { median } = spreadOf(took.get('koa-atomic-session') ?? [])
console.log(`import of the main entry: ${median.toFixed(1)} ms (at most ${MOST_MS})`)
