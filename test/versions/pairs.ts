import { readFileSync } from 'node:fs'

const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as Record<
  'dependencies' | 'devDependencies' | 'peerDependencies',
  Record<string, string>
> & {
  engines: { node: string }
}

/** Everything that the README promises to work with is in one of these. */
export interface Pair {
  readonly name: string
  /** A version of Node, or a range of which the newest is taken; so with the peers. */
  readonly node: string
  readonly peers: Record<string, string>
}

// The scripts of packages are not run here, so this one would not be compiled; the tests of SQLite install and compile it.
const { 'better-sqlite3': _, ...newest } = manifest.peerDependencies
const lowest = Object.fromEntries(Object.entries(newest).map(([name, range]) => [name, lowestOf(range)]))

export const pairs: readonly Pair[] = [
  { name: 'lowest', node: lowestOf(manifest.engines.node), peers: lowest },
  ...['20', '22', '24', '26'].map(node => ({ name: `newest-${node}`, node, peers: newest })),
]

/** The least compiler that our types are promised to, and the newest. */
export const compilers = { 'typescript-least': '5.6', 'typescript-newest': '7' }

export const jest = { jest: '30', '@babel/core': '7', '@babel/preset-env': '7' }

/** What tests import, as it is in this repository unless a pair says otherwise. */
export function versionOf(name: string, { peers }: Pair): string | undefined {
  return peers[name] ?? manifest.devDependencies[name] ?? manifest.dependencies[name]
}

/** The first version of a range such as `^2.16.0 || ^3.0.0`. */
function lowestOf(range: string): string {
  const [, version = ''] = /(\d+(?:\.\d+)*)/.exec(range) ?? []
  return [...version.split('.'), '0', '0'].slice(0, 3).join('.')
}
