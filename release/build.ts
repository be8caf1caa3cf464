import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BuildOptions, build } from 'esbuild'

// npm run build -- [folder]
// Compiles `src` into `dist`, or another folder: a module for each path of the package's `exports`, chunks that these share, and
// a program for each name of its `bin`.

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = resolve(root, process.argv[2] ?? 'dist')

interface Manifest {
  readonly exports: Record<string, { readonly default?: string } | string>
  readonly bin?: Record<string, string> | string
  readonly engines: { readonly node: string }
}

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest

const settings: BuildOptions = {
  absWorkingDir: root,
  outbase: 'src',
  outdir: folder,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: manifest.engines.node.replace('>=', 'node'),
  packages: 'external',
  // CommonJS stays a file of its own, because in ECMAScript its `require` is undefined.
  loader: { '.cjs': 'copy' },
  assetNames: '[dir]/[name]',
  logLevel: 'warning',
}

// Of an older build there may be files that this one does not write.
rmSync(folder, { recursive: true, force: true })

const { metafile } = await build({
  ...settings,
  entryPoints: sourcesOf(exportsOf(manifest)),
  // What two entries share is one module: one class of each error, and one of whatever holds a state.
  splitting: true,
  chunkNames: 'chunks/[hash]',
  sourcemap: true,
  sourcesContent: true,
  metafile: true,
})
for (const file of Object.keys(metafile.outputs)) if (file.endsWith('.js')) dropBareImports(join(root, file))
dropMap(join(folder, 'testing/index.js'))
// A program shares nothing with an app. In chunks with the modules it would cut these into more and smaller ones.
await build({
  ...settings,
  entryPoints: sourcesOf(programsOf(manifest)),
  minify: true,
  minifyIdentifiers: false,
})
const declarations = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--outDir', folder]
process.exitCode = spawnSync(process.execPath, declarations, { cwd: root, stdio: 'inherit' }).status ?? 1

/**
 * An entry imports the chunks below the one that it passes on once more, for their effects. They have none, and users' bundlers
 * warn of such an import. The lines stay, for the maps.
 */
function dropBareImports(file: string): void {
  const code = readFileSync(file, 'utf8')
  const without = code.replace(/^import "\.[^"]*";$/gm, '')
  if (without !== code) writeFileSync(file, without)
}

/** What stores are tested with can be read as it is built, and its map would be a tenth of the package. */
function dropMap(file: string): void {
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^\/\/# sourceMappingURL=.*$\n/m, ''))
  rmSync(`${file}.map`)
}

function exportsOf({ exports }: Manifest): (string | undefined)[] {
  return Object.values(exports).map(target => (typeof target === 'string' ? target : target.default))
}

function programsOf({ bin = {} }: Manifest): string[] {
  return typeof bin === 'string' ? [bin] : Object.values(bin)
}

/** `./dist/stores/memory.js` is made of `src/stores/memory.ts`. */
function sourcesOf(files: readonly (string | undefined)[]): string[] {
  return files.flatMap((file = '') => {
    const [, name] = /^(?:\.\/)?dist\/(.*)\.js$/.exec(file) ?? []
    return name === undefined ? [] : [`src/${name}.ts`]
  })
}
