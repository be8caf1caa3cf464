import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = new URL('../node_modules/.cache/bench/', import.meta.url)

/** The package as it is published: run from its sources, tsx would give a name to each closure whenever it is made. */
export async function built(): Promise<typeof import('../src/index.ts')> {
  const args = ['tsc', '-p', 'tsconfig.build.json', '--outDir', fileURLToPath(folder)]
  execFileSync('npx', args, { cwd: root, stdio: 'inherit' })
  writeFileSync(new URL('package.json', folder), '{ "type": "module" }\n')
  return import(new URL('index.js', folder).href)
}
