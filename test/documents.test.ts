import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import * as errors from '../src/errors.ts'
import { commands } from '../src/language/commands.ts'
import { documents, read, root } from './support/documents.ts'

suite('the documents name', () => {
  const options = 'docs/reference/options.md'
  const tables = [
    [options, '## Options of `Session(app, options)`', 'http/options.ts', 'SessionOptions'],
    [options, '## The cookie', 'http/cookie-options.ts', 'CookieOptions'],
    [options, '## Options of `csrf()`', 'http/csrf.ts', 'CSRFOptions'],
    [options, '## Options of `regenerate()`', 'session/types.ts', 'RegenerateSettings'],
    [options, '## Options of `once()`', 'session/types.ts', 'OnceOptions'],
    [
      'docs/stores/sqlite.md',
      '# SQLite: a file on this machine',
      'stores/sqlite/store.ts',
      'SQLiteStoreOptions',
    ],
    ['docs/stores/memory.md', '# Memory', 'stores/memory.ts', 'MemoryStoreOptions'],
    ['docs/stores/redis.md', '# Redis and Valkey', 'stores/redis/store.ts', 'RedisStoreOptions'],
  ] as const
  for (const [document, title, file, type] of tables) {
    test(`exactly the options of ${type}, with their defaults`, () => {
      // What has to be given has no default.
      const described = tableUnder(document, title)
        .map(([name = '', value = '']) => [plain(name), plain(value)])
        .filter(([, value]) => value !== '')
      const declared = optionsOf(`src/${file}`, type)
      assert.ok(declared.length > 0)
      assert.deepEqual(
        described.map(([name]) => name),
        declared.map(({ name }) => name),
      )
      for (const [at, { name, value }] of declared.entries()) {
        if (value !== undefined) assert.equal(described[at]?.[1], value, `the default of ${name}`)
      }
    })
  }

  test('every command', () => {
    const named = tableUnder('docs/reference/commands.md', '## All commands').flatMap(([call = '']) =>
      Array.from(call.matchAll(/`(\w+)\(/g), ([, name]) => name),
    )
    assert.deepEqual(new Set(named), new Set(Object.keys(commands)))
  })

  test('every error, with its code and its status', () => {
    const described = tableUnder('docs/reference/errors.md', '## All errors').map(cells =>
      cells.slice(0, 3).map(plain),
    )
    const thrown = [
      new errors.SessionEndedError(),
      new errors.InvalidCSRFTokenError(),
      new errors.LeaseLostError('', undefined),
      new errors.SessionTooLargeError(),
      new errors.CommandError(''),
      new errors.FieldError('', ''),
      new errors.HeadersSentError(''),
      new errors.ConfigurationError(''),
      new errors.StoreUnavailableError('', 'none'),
    ]
    // The base of all, and what only stores throw.
    assert.equal(Object.keys(errors).length, thrown.length + 2)
    assert.deepEqual(
      described,
      thrown.map(({ name, code, status }) => [name, code, String(status)]),
    )
  })

  test('the options that 2.0.0 has added in the changelog too', () => {
    const added = /^- The options (.*?)\.$/ms.exec(read('CHANGELOG.md'))?.[1] ?? ''
    const named = Array.from(added.matchAll(/`(\w+)`/g), ([, name]) => name)
    const declared = optionsOf('src/http/options.ts', 'SessionOptions').map(({ name }) => name)
    assert.deepEqual(new Set([...named, 'key', 'maxAge']), new Set(declared))
  })
})

test('the list of pages has each page', () => {
  const listed = Array.from(
    read('docs/index.md').matchAll(/\]\(([^)]+)\)/g),
    ([, target = '']) => `docs/${target}`,
  )
  const pages = documents.filter(document => document.startsWith('docs/') && document !== 'docs/index.md')
  assert.deepEqual(listed.sort(), pages)
})

test('each page begins with what its reader can do after it', () => {
  const pages = documents.filter(document => /^docs\/.+\/|^docs\/(?:start|speed|writing)/.test(document))
  assert.ok(pages.length > 40)
  assert.deepEqual(
    pages.filter(page => !/^# .*\n\nAfter this page /.test(read(page))),
    [],
  )
})

test('links lead somewhere', () => {
  const lost: string[] = []
  for (const document of documents) {
    for (const [, target = ''] of read(document).matchAll(/(?:\]\(|(?:src|srcset)=")([^)"\s]+)[)"]/g)) {
      if (/^https?:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? document : join(document, '..', path)
      const isThere =
        existsSync(join(root, file)) && (anchor === undefined || anchorsOf(file).includes(anchor))
      if (!isThere) lost.push(`${document} links to ${target}`)
    }
  }
  assert.deepEqual(lost, [])
})

/** The cells of the first table under a heading, row by row, without the header. */
function tableUnder(document: string, title: string): string[][] {
  const section = `\n${read(document)}`.split(`\n${title}\n`)[1]?.split(/\n#{2,3} /)[0] ?? ''
  const [table = ''] = /(?:^\|.*\n)+/m.exec(section) ?? []
  const rows = table.trimEnd().split('\n').slice(2)
  return rows.map(row =>
    row
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map(cell => cell.trim()),
  )
}

/** Markdown's code as text. */
function plain(text: string): string {
  return text.replaceAll('`', '')
}

interface Option {
  readonly name: string
  readonly value: string | undefined
}

/** The members of an interface, with what their comments call the default. */
function optionsOf(file: string, type: string): Option[] {
  const body =
    new RegExp(`^export interface ${type}(?:<[^\\n]*>)? \\{\\n(.*?)^\\}`, 'ms').exec(read(file))?.[1] ?? ''
  return Array.from(body.matchAll(/\/\*\*((?:(?!\*\/).)*)\*\/\s+(?:readonly )?(\w+)\?:/gs), match => {
    const value = /@default (.*)/.exec(match[1] ?? '')?.[1]
    return { name: match[2] ?? '', value: value && plain(value.trim()) }
  })
}

/** As GitHub makes them of headings. */
function anchorsOf(file: string): string[] {
  const headings = read(file).matchAll(/^#+ (.*)$/gm)
  return Array.from(headings, ([, text = '']) =>
    text
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
}
