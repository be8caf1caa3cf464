import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { filesMatching } from './runner/files.ts'

export const root = fileURLToPath(new URL('../..', import.meta.url))

/** All that users and contributors read, by its path in the repository. */
export const documents = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...(await filesMatching(root, ['docs/**/*.md'])).filter(name => !name.startsWith('docs/site/')),
]

/** A file of the repository. */
export function read(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}
