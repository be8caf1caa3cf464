import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after } from 'node:test'
import { promisify } from 'node:util'
import { root } from '../support/documents.ts'

export const run = promisify(execFile)

const PACK = ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'SECURITY.md', 'docs']

/** The package as it is published. It is built apart, since other tests look at what is built here. */
async function packedIn(folder: string): Promise<string> {
  const copy = join(folder, 'source')
  for (const name of PACK) await cp(join(root, name), join(copy, name), { recursive: true })
  await run(process.execPath, ['--import', 'tsx', 'release/build.ts', join(copy, 'dist')], { cwd: root })
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]
  const { stdout } = await run('npm', args, { cwd: copy })
  const [packed] = JSON.parse(stdout) as { filename: string }[]
  return join(folder, packed?.filename ?? '')
}

const folder = await mkdtemp(join(tmpdir(), 'packed-'))
after(() => rm(folder, { recursive: true, force: true }))

let packing: Promise<string> | undefined
let projects = 0

export interface Project {
  readonly path: string
  write(name: string, text: string): Promise<void>
}

/**
 * An empty folder in which somebody has run `npm install` for the packed package and these, each with its version; the reason to skip
 * its tests, where they cannot be installed. In CI that is a failure.
 */
export async function aProject(
  manifest: Readonly<Record<string, unknown>>,
  packages: readonly string[],
): Promise<Project | string> {
  packing ??= packedIn(folder)
  const tarball = await packing
  const path = join(folder, `project${++projects}`)
  await mkdir(path)
  await writeFile(join(path, 'package.json'), JSON.stringify({ private: true, ...manifest }))
  const args = [
    'install',
    '--no-audit',
    '--no-fund',
    '--no-package-lock',
    '--ignore-scripts',
    '--prefer-offline',
  ]
  try {
    await run('npm', [...args, tarball, ...packages], { cwd: path })
  } catch (error) {
    if (process.env.CI) throw error
    return `NOT TESTED: ${packages.join(', ')} cannot be installed: ${String(error)}`
  }
  return {
    path,
    async write(name, text) {
      await mkdir(dirname(join(path, name)), { recursive: true })
      await writeFile(join(path, name), text)
    },
  }
}

/** A package of this repository's, in the version that it is tested with here. */
export async function inOurVersion(name: string): Promise<string> {
  const manifest = JSON.parse(await readFile(join(root, 'node_modules', name, 'package.json'), 'utf8')) as {
    name: string
    version: string
  }
  return `${manifest.name}@${manifest.version}`
}
