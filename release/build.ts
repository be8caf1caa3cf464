import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

// npm run build -- [folder]
// Compiles `src` into `dist`, or another folder: a module for each path of the package's `exports` and `bin`, and chunks that these share.

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = resolve(root, process.argv[2] ?? 'dist')

interface Manifest {
  readonly exports: Record<string, { readonly default?: string } | string>
  readonly bin?: Record<string, string> | string
  readonly engines: { readonly node: string }
}

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest

await build({
  absWorkingDir: root,
  entryPoints: sourcesOf(manifest),
  outbase: 'src',
  outdir: folder,
  bundle: true,
  // What two entries share is one module: one class of each error, and one of whatever holds a state.
  splitting: true,
  chunkNames: 'chunks/[hash]',
  format: 'esm',
  platform: 'node',
  target: manifest.engines.node.replace('>=', 'node'),
  packages: 'external',
  // CommonJS stays a file of its own, because in ECMAScript its `require` is undefined.
  loader: { '.cjs': 'copy' },
  assetNames: '[dir]/[name]',
  sourcemap: true,
  sourcesContent: true,
  logLevel: 'warning',
})
const declarations = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--outDir', folder]
process.exitCode = spawnSync(process.execPath, declarations, { cwd: root, stdio: 'inherit' }).status ?? 1

/** `./dist/stores/memory.js` is made of `src/stores/memory.ts`. */
function sourcesOf({ exports, bin = {} }: Manifest): string[] {
  const targets = Object.values(exports).map(target => (typeof target === 'string' ? target : target.default))
  const programs = typeof bin === 'string' ? [bin] : Object.values(bin)
  return [...targets, ...programs].flatMap((file = '') => {
    const [, name] = /^(?:\.\/)?dist\/(.*)\.js$/.exec(file) ?? []
    return name === undefined ? [] : [`src/${name}.ts`]
  })
}
