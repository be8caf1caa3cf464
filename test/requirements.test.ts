import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'

const root = new URL('..', import.meta.url)
const row = /^\| (?<ids>[^|]+) \| (?<title>[^|]+) \| (?<file>[\w/-]+) \|$/gm

test('each test that docs/requirements.md names is there, in the file it names', async () => {
  const text = await readFile(new URL('docs/requirements.md', root), 'utf8')
  const rows = [...text.matchAll(row)].filter(({ groups }) => groups?.file?.includes('/'))
  assert.ok(rows.length > 70)
  for (const { groups } of rows) {
    const { title = '', file } = groups ?? {}
    const tests = await readFile(new URL(`test/${file}.test.ts`, root), 'utf8')
    assert.ok(tests.replaceAll("\\'", "'").includes(title), `${file} has no test: ${title}`)
  }
})
