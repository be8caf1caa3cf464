import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { suite, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { theClient, withoutMongoDB } from './support/mongodb/collection.ts'
import { Visitor } from './support/visitor.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Starts the shop and says where it is; when the test ends it is told to stop, and must do so by itself. */
type Start = (t: TestContext) => Promise<string>

visits('in memory', t => started(t, {}), false)
visits('in MongoDB', inMongoDB, withoutMongoDB)

function visits(where: string, start: Start, skip: string | false): void {
  suite(`the example shop with its sessions ${where}`, { skip, timeout: 60_000 }, () => {
    test('a browser without JavaScript signs in, fills a cart, orders and signs out', async t => {
      const browser = new Browser(await start(t))
      assert.match(await browser.open('/'), /seen this page 1 time\./)
      assert.match(await browser.submit('/cart/tea/add'), /Green tea<\/span><span>1 × € 8\.50/)
      const anonymous = browser.cookie

      const page = await browser.submit('/sign-in', { name: '<i>Ada</i> & "Bob"' })
      assert.match(page, /Signed in as <b>&#60;i&#62;Ada&#60;\/i&#62; &#38; &#34;Bob&#34;<\/b>/)
      assert.match(page, /role="status">Welcome, &#60;i&#62;Ada/)
      assert.doesNotMatch(page, /<i>/)
      assert.match(page, /1 × € 8\.50/, 'the cart came along')
      assert.match(page, /seen this page 3 times\./)
      assert.notEqual(browser.cookie, anonymous)
      assert.doesNotMatch(await browser.open('/'), /role="status"/, 'the message is shown once')

      await browser.submit('/cart/tea/add')
      assert.match(await browser.submit('/cart/pot/add'), /2 × € 8\.50[\s\S]*1 × € 49\.00[\s\S]*€ 66\.00/)
      assert.match(await browser.submit('/cart/tea/less'), /1 × € 8\.50/)
      assert.match(await browser.submit('/cart/tea/less'), /1 × € 8\.50/, 'never below one')
      assert.doesNotMatch(await browser.submit('/cart/tea/remove'), /× € 8\.50/)
      assert.match(await browser.submit('/order'), /Thank you for your order![\s\S]*It is empty\./)

      const signedIn = browser.cookie
      const after = await browser.submit('/sign-out')
      assert.match(after, /<button>Sign in<\/button>/)
      assert.match(after, /seen this page 1 time\./, 'it is another session')

      browser.cookie = signedIn
      assert.doesNotMatch(await browser.open('/'), /Signed in|seen this page/, 'the old cookie opens nothing')
      assert.match(await browser.submit('/sign-in', { name: 'Ada' }), /Signed in as <b>Ada<\/b>/)
    })

    test('a program uses the same addresses with JSON', async t => {
      const program = new Program(await start(t))
      const { session, csrf } = await program.look()
      assert.deepEqual(session, { visits: 1 })
      assert.match(csrf, /^[\w-]{65}$/)
      await program.post('/sign-in', { name: 'Ada' })
      await program.post('/cart/cup/add')
      assert.deepEqual((await program.look()).session, {
        visits: 2,
        user: 'Ada',
        cart: { quantities: { cup: 1 }, skus: ['cup'] },
        recent: ['cup'],
      })
      assert.deepEqual((await program.post('/sign-out')).session, {})
      assert.deepEqual((await program.look()).session, { visits: 1 })
    })

    test('requests at the same time lose nothing and pass no limit', async t => {
      const program = new Program(await start(t))
      await program.look()
      await program.post('/sign-in', { name: 'Ada' })
      const times = (count: number, path: string) =>
        Promise.all(Array.from({ length: count }, () => program.post(path)))

      await times(7, '/cart/tea/add')
      assert.equal((await program.look()).session.cart?.quantities.tea, 7)
      await times(20, '/cart/tea/add')
      const { session } = await program.look()
      assert.deepEqual(session.cart, { quantities: { tea: 9 }, skus: ['tea'] })
      assert.deepEqual(session.recent, ['tea', 'tea', 'tea'])
      await times(20, '/cart/tea/less')
      assert.equal((await program.look()).session.cart?.quantities.tea, 1)
    })

    test('a form without its token is refused, and so is what the shop does not have', async t => {
      const url = await start(t)
      const program = new Program(url)
      await program.look()
      const another = new Program(url)
      await another.look()
      for (const csrf of ['', 'x', another.csrf]) {
        const { status, code } = await program.post('/cart/tea/add', {}, csrf)
        assert.deepEqual([status, code], [403, 'SESSION_CSRF'])
      }
      const elsewhere = await program.post('/cart/tea/add', {}, program.csrf, {
        'Sec-Fetch-Site': 'cross-site',
      })
      assert.equal(elsewhere.status, 403, 'whatever token another site has')
      assert.equal((await program.look()).session.cart, undefined)
      assert.equal((await program.post('/cart/gold/add')).status, 404)
      assert.equal((await program.post('/cart/tea/steal')).status, 404)
      assert.equal((await program.post('/sign-in', { name: ['Ada'] })).status, 400)
      assert.equal((await program.post('/sign-in', { name: 'A'.repeat(51) })).status, 400)
      assert.equal((await program.post('/sign-in', { name: 'Ada \ud800' })).session.user, 'Ada \ufffd')
    })
  })
}

async function inMongoDB(t: TestContext): Promise<string> {
  const database = `example_${randomUUID().slice(0, 8)}`
  const uri = process.env.MONGODB_URI?.replace(/^([^/]*\/\/[^/?]*)(?:\/[^?]*)?/, `$1/${database}`)
  const url = await started(t, { MONGODB_URI: uri })
  t.after(async () => {
    const db = theClient().db(database)
    const kept = await db.collection('sessions').countDocuments()
    await db.dropDatabase()
    assert.notEqual(kept, 0)
  })
  return url
}

async function started(t: TestContext, env: NodeJS.ProcessEnv): Promise<string> {
  const { MONGODB_URI: _, ...others } = process.env
  const shop = spawn(process.execPath, ['--import', 'tsx', 'example/shop.ts'], {
    cwd: root,
    env: { ...others, PORT: '0', SESSION_KEYS: randomUUID(), ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(shop, 'exit')
  t.after(async () => {
    shop.kill('SIGTERM')
    assert.deepEqual(await ended, [0, null])
  })
  for await (const line of createInterface(shop.stdout)) {
    const url = /http:\/\/\S+/.exec(line)?.[0]
    if (url) return url
  }
  throw new Error('The shop ended before it said where it is')
}

/** Keeps its one cookie, and submits the forms of the page it shows as they are. */
class Browser {
  cookie = ''
  readonly #url: string
  #page = ''

  constructor(url: string) {
    this.#url = url
  }

  async open(path: string): Promise<string> {
    const response = await this.#fetch(path, {})
    assert.equal(response.status, 200)
    assert.match(response.headers.get('content-type') ?? '', /^text\/html/)
    this.#page = await response.text()
    return this.#page
  }

  async submit(action: string, typed: Record<string, string> = {}): Promise<string> {
    const form = this.#page.split('<form').find(text => text.includes(`action="${action}"`))
    assert.ok(form, `no form for ${action}`)
    assert.match(form, /^ method="post"/)
    const hidden = Array.from(form.matchAll(/type="hidden" name="([^"]*)" value="([^"]*)"/g))
    const fields = { ...Object.fromEntries(hidden.map(([, name, value]) => [name, value])), ...typed }
    const response = await this.#fetch(action, { method: 'POST', body: new URLSearchParams(fields) })
    assert.equal(response.status, 303)
    return this.open(response.headers.get('location') ?? '')
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    const headers = { Accept: 'text/html,*/*;q=0.8', ...(this.cookie && { Cookie: this.cookie }) }
    const response = await fetch(this.#url + path, { ...init, headers, redirect: 'manual' })
    for (const line of response.headers.getSetCookie()) this.cookie = line.split(';')[0] ?? ''
    return response
  }
}

interface Told {
  readonly status: number
  readonly code: string
  readonly csrf: string
  readonly session: {
    readonly user?: string
    readonly cart?: { readonly quantities: Record<string, number> }
    readonly recent?: string[]
  }
}

/** Reads and sends JSON, with the token it was given last. */
class Program {
  csrf = ''
  readonly #visitor: Visitor

  constructor(url: string) {
    this.#visitor = new Visitor(url)
  }

  async look(): Promise<Told> {
    return this.#told(await this.#visitor.get('/', { Accept: 'application/json', Connection: 'close' }))
  }

  async post(path: string, body: object = {}, csrf = this.csrf, more = {}): Promise<Told> {
    const headers = { Accept: 'application/json', 'X-CSRF-Token': csrf, Connection: 'close', ...more }
    return this.#told(await this.#visitor.post(path, body, headers))
  }

  #told({ status, json }: { status: number; json: unknown }): Told {
    const told = { ...(json as Told), status }
    if (told.csrf) this.csrf = told.csrf
    return told
  }
}
