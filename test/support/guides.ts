import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, type TestContext } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type Koa from 'koa'
import type { Sessions } from '../../src/index.ts'
import { signedIn as newlySignedIn } from '../../src/testing/index.ts'
import { Visitor } from './visitor.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** What a browser sends with the form of an app's own page. */
export const FORM = { 'Sec-Fetch-Site': 'same-origin' }

/** Inside the repository, so that what the programs import is found. */
let folder: string

before(async () => {
  const cache = join(root, 'node_modules/.cache')
  await mkdir(cache, { recursive: true })
  folder = await mkdtemp(join(cache, 'guides-'))
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
})

after(() => rm(folder, { recursive: true, force: true }))

interface Program {
  readonly app: Koa
  readonly sessions: Sessions
  readonly [name: string]: unknown
}

let programs = 0

interface Given {
  /** Code that stands for what the program only declares. */
  readonly code?: string
  /** What stands in place of a text of the program. */
  readonly instead?: Record<string, string>
}

/** The program of a page that has this text, and what it calls `names` to be had. */
export async function programIn(
  page: string,
  has: string,
  names: string[],
  { code = '', instead }: Given = {},
) {
  const blocks = readFileSync(join(root, 'docs/guides', page), 'utf8').matchAll(
    /^```ts(?: run)?\n(.*?)^```$/gms,
  )
  const text = [...blocks].map(([, text = '']) => text).find(text => text.includes(has))
  assert.ok(text, `${page} has a program with: ${has}`)
  let source = onSource(text)
    .replaceAll(/^declare function .*\n/gm, '')
    .replaceAll(/^(?:app|server)\.listen\(3000\)\n/gm, '')
  for (const [from, to] of Object.entries(instead ?? {})) {
    assert.ok(source.includes(from), `${page} has: ${from}`)
    source = source.replace(from, to)
  }
  const file = join(folder, `program${programs++}.ts`)
  await writeFile(file, `${source}\n${code}\nexport { ${names.join(', ')} }\n`)
  return (await import(pathToFileURL(file).href)) as Program
}

/** The programs of a page that are tests, each as a file. */
export async function testsIn(page: string): Promise<string[]> {
  const blocks = readFileSync(join(root, 'docs', page), 'utf8').matchAll(/^```ts\n(.*?)^```$/gms)
  const files: string[] = []
  for (const [, text = ''] of blocks) {
    if (!text.includes("from 'node:test'")) continue
    const file = join(folder, `test${programs++}.ts`)
    await writeFile(file, onSource(text))
    files.push(file)
  }
  return files
}

/** As it is read here: with the package's source in place of the package. */
function onSource(text: string): string {
  return text
    .replaceAll("'koa-atomic-session'", `'${sourceOf('index.ts')}'`)
    .replaceAll("'koa-atomic-session/memory'", `'${sourceOf('stores/memory.ts')}'`)
    .replaceAll("'koa-atomic-session/testing'", `'${sourceOf('testing/index.ts')}'`)
}

function sourceOf(file: string): string {
  return pathToFileURL(join(root, 'src', file)).href
}

/** Somebody who visits the app, until the test ends. */
export async function visiting(t: TestContext, app: Koa, server = createServer(app.callback())) {
  app.silent = true
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const visitors: Visitor[] = []
  t.after(async () => {
    for (const visitor of visitors) visitor.leave()
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return () => {
    const visitor = new Visitor(url)
    visitors.push(visitor)
    return visitor
  }
}

/** A visitor who has the session with these fields. */
export async function signedIn(
  visitor: Visitor,
  sessions: Sessions,
  fields: Record<string, unknown>,
): Promise<string> {
  const { id, cookie } = await newlySignedIn(sessions, fields)
  const at = cookie.indexOf('=')
  visitor.jar.set(cookie.slice(0, at), cookie.slice(at + 1))
  return id
}

export function without(name: string): string | false {
  if (existsSync(join(root, 'node_modules', name))) return false
  if (process.env.CI) throw new Error(`${name} is not installed`)
  return `${name} is not installed`
}
