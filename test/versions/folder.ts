import { execFile } from 'node:child_process'
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path/posix'
import { promisify } from 'node:util'
import { filesMatching } from '../support/runner/files.ts'
import { compilers, jest, type Pair, versionOf } from './pairs.ts'

export const run = promisify(execFile)

/** Node itself, as a package. */
const NODE = `node-${process.platform.replace('win32', 'win')}-${process.arch}`

export interface Folder {
  readonly path: string
  readonly node: string
  /** The versions that were installed. */
  readonly versions: Record<string, string>
}

/** Has the packed package, as a user has it, the packages of a pair, and the tests, which find the package where `src/` was. */
export async function folderOf(pair: Pair, path: string, root: string, tarball: string): Promise<Folder> {
  await mkdir(path, { recursive: true })
  for (const name of ['test', 'example', 'docs', 'README.md', 'tsconfig.json']) {
    await cp(join(root, name), join(path, name), { recursive: true })
  }
  const aliases = Object.entries(compilers).map(([name, version]) => [name, `npm:typescript@${version}`])
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
  const manifest = {
    private: true,
    type: 'module',
    // What is tested as source says it to be its own.
    version,
    dependencies: {
      'koa-atomic-session': `file:${tarball}`,
      ...(await importedBy(pair, path)),
      ...pair.peers,
      ...jest,
      [NODE]: pair.node,
      ...Object.fromEntries(aliases),
    },
  }
  await writeFile(join(path, 'package.json'), JSON.stringify(manifest))
  await run('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--no-package-lock'], {
    cwd: path,
  })
  await standInForSource(path, root)

  const names = [NODE, ...Object.keys(pair.peers)]
  const versions = await Promise.all(names.map(name => installed(path, name)))
  return {
    path,
    node: join(path, 'node_modules', NODE, 'bin', process.platform === 'win32' ? 'node.exe' : 'node'),
    versions: Object.fromEntries(
      names.map((name, at) => [name === NODE ? 'node' : name, versions[at] ?? '']),
    ),
  }
}

async function installed(path: string, name: string): Promise<string> {
  const manifest = await readFile(join(path, 'node_modules', name, 'package.json'), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version.replace(/^v/, '')
}

/** The packages that the tests and the examples name, and what runs them. */
async function importedBy(pair: Pair, path: string): Promise<Record<string, string>> {
  const files = await filesMatching(path, ['test/**/*.ts', 'example/**/*.ts'])
  const sources = await Promise.all(files.map(file => readFile(join(path, file), 'utf8')))
  const names = sources.flatMap(source =>
    Array.from(
      source.matchAll(/(?:\sfrom |\b(?:import|require)\()'((?:@[\w-]+\/)?[\w-]+)/g),
      ([, name = '']) => name,
    ),
  )
  const versions = [...names, 'tsx', '@types/node'].map(name => [name, versionOf(name, pair)] as const)
  return Object.fromEntries(versions.flatMap(([name, version]) => (version ? [[name, version]] : [])))
}

/**
 * Where tests import a file of `src/` that is an entry of the package, or of which the main entry exports all, they get the package's.
 * The others are inside of the package's chunks, where nobody reaches them: these are tested as they are.
 */
async function standInForSource(path: string, root: string): Promise<void> {
  await cp(join(root, 'src'), join(path, 'src'), { recursive: true })
  const main = await readFile(join(root, 'src/index.ts'), 'utf8')
  const whole = Array.from(main.matchAll(/^export \* from '\.\/(.*)'/gm), ([, file]) => `src/${file}`)
  const standIns = new Map([
    ...(await entriesOf(root)),
    ...whole.map(file => [file, 'koa-atomic-session'] as const),
    ['src/store/joining.ts', 'koa-atomic-session'],
    ['src/stores/mongodb/store.ts', 'koa-atomic-session'],
  ])
  for (const [file, name] of standIns) {
    const lines = [`export * from '${name}'`]
    if (file === 'src/index.ts') lines.push(`export { default } from '${name}'`)
    await writeFile(join(path, file), lines.join('\n'))
  }
}

async function entriesOf(root: string): Promise<Map<string, string>> {
  const { exports } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, { default?: string }>
  }
  return new Map(
    Object.entries(exports)
      .filter(([, { default: file }]) => file?.endsWith('.js'))
      .map(([name, { default: file = '' }]) => [
        file.replace(/^\.\/dist\/(.*)\.js$/, 'src/$1.ts'),
        name.replace('.', 'koa-atomic-session'),
      ]),
  )
}
