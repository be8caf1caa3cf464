import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Where the package is built for the benchmarks. */
export const folder = new URL('../node_modules/.cache/bench/', import.meta.url)

/** Builds the package as it is published: run from its sources, tsx would give a name to each closure whenever it is made. */
export function build(): void {
  const args = ['run', '--silent', 'build', '--', fileURLToPath(folder)]
  execFileSync('npm', args, { cwd: root, stdio: 'inherit' })
  writeFileSync(new URL('package.json', folder), '{ "type": "module" }\n')
}

/** An entry of the built package, such as `'stores/memory'`. */
export function library<Module>(name: string): Promise<Module> {
  return import(new URL(`${name}.js`, folder).href)
}
