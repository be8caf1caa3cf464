import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = new URL('../node_modules/.cache/bench/', import.meta.url)

/** The package as it is published: run from its sources, tsx would give a name to each closure whenever it is made. */
export async function built(): Promise<typeof import('../src/index.ts')> {
  build()
  return import(new URL('index.js', folder).href)
}

/** The same of the LMDB store. */
export async function builtLMDB(): Promise<typeof import('../src/stores/lmdb.ts')> {
  build()
  return import(new URL('stores/lmdb.js', folder).href)
}

function build(): void {
  const args = ['tsc', '-p', 'tsconfig.build.json', '--outDir', fileURLToPath(folder)]
  execFileSync('npx', args, { cwd: root, stdio: 'inherit' })
  writeFileSync(new URL('package.json', folder), '{ "type": "module" }\n')
}
