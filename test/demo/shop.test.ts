import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import { FormBrowser } from '../support/formbrowser.ts'
import { theClient, withoutMongoDB } from '../support/mongodb/collection.ts'
import { query, thePostgreSQL, withoutPostgreSQL } from '../support/postgres/database.ts'
import { RedisServer, withoutRedis } from '../support/redis/server.ts'
import { aFolder, type RunningShop, startShop } from '../support/shop.ts'

/** Starts the shop and says where it is; in the end it is told to stop, and must do so by itself. */
type Start = (t: Ending) => Promise<string>

interface Ending {
  after(end: () => Promise<void>): void
}

visits('in files', inFiles, false)
visits('in MongoDB', inMongoDB, withoutMongoDB)
visits('in PostgreSQL', inPostgreSQL, withoutPostgreSQL)
visits('in Redis', inRedis, withoutRedis)

function visits(where: string, start: Start, skip: string | false): void {
  suite(`the example shop with its sessions ${where}`, { skip }, () => {
    let url: string
    const ends: (() => Promise<void>)[] = []
    before(async () => {
      url = await start({ after: end => void ends.push(end) })
    })
    after(async () => {
      for (const end of ends) await end()
    })

    test('a browser without JavaScript signs in, fills a cart, orders and signs out', async () => {
      const browser = new FormBrowser(url)
      await browser.open('/')
      assert.deepEqual(cartOf(await browser.submit('/cart/sencha/add')), ['1 Sencha € 8.50'])
      const anonymous = browser.cookie

      await browser.open('/sign-in')
      const page = await browser.submit('/sign-in', { name: '<i>Ada</i> & "Bob"' })
      assert.match(page, /class="user">&#60;i&#62;Ada&#60;\/i&#62; &#38; &#34;Bob&#34;</)
      assert.match(page, /class="flash">Welcome, &#60;i&#62;Ada/)
      assert.doesNotMatch(page, /<i>/)
      assert.deepEqual(cartOf(page), ['1 Sencha € 8.50'], 'the cart came along')
      assert.notEqual(browser.cookie, anonymous)
      assert.doesNotMatch(await browser.open('/'), /Welcome/, 'the message is shown once')

      await browser.submit('/cart/sencha/add')
      assert.deepEqual(cartOf(await browser.submit('/cart/assam/add')), [
        '2 Sencha € 17.00',
        '1 Assam € 7.50',
      ])
      assert.deepEqual(cartOf(await browser.submit('/cart/sencha/less')), [
        '1 Sencha € 8.50',
        '1 Assam € 7.50',
      ])
      const least = await browser.submit('/cart/sencha/less')
      assert.deepEqual(cartOf(least), ['1 Sencha € 8.50', '1 Assam € 7.50'], 'never below one')
      assert.deepEqual(cartOf(await browser.submit('/cart/sencha/remove')), ['1 Assam € 7.50'])
      const ordered = await browser.submit('/order')
      assert.match(ordered, /Thank you for your order!/)
      assert.deepEqual(cartOf(ordered), [])

      const signedIn = browser.cookie
      assert.match(await browser.submit('/sign-out'), /href="\/sign-in"/)
      browser.cookie = signedIn
      assert.doesNotMatch(await browser.open('/'), /class="user"/, 'the old cookie opens nothing')
      await browser.open('/sign-in')
      assert.match(await browser.submit('/sign-in', { name: 'Ada' }), /class="user">Ada</)
    })

    test('requests at the same time lose nothing and pass no limit', async () => {
      const browser = new FormBrowser(url)
      await browser.open('/')
      await browser.submitAtOnce(7, '/cart/sencha/add')
      assert.deepEqual(cartOf(await browser.open('/')), ['7 Sencha € 59.50'])
      await browser.submitAtOnce(20, '/cart/sencha/add')
      const full = await browser.open('/')
      assert.deepEqual(cartOf(full), ['9 Sencha € 76.50'])
      assert.match(full, /9 of Sencha is all we sell to one visitor/)
      await browser.submitAtOnce(20, '/cart/sencha/less')
      assert.deepEqual(cartOf(await browser.open('/')), ['1 Sencha € 8.50'])
    })

    test('who sends an order twice at once orders once', async () => {
      const browser = new FormBrowser(url)
      await browser.open('/sign-in')
      await browser.submit('/sign-in', { name: 'Ada' })
      await browser.submit('/cart/sencha/add')
      await browser.submitAtOnce(2, '/order')
      const page = await browser.open('/')
      assert.match(page, /Thank you for your order!/, 'the refusal of the second does not replace it')
      assert.deepEqual(cartOf(page), [])
    })

    test('who sends the sign-in form twice is signed in, and told where the cart is', async () => {
      const browser = new FormBrowser(url)
      await browser.open('/')
      await browser.submit('/cart/sencha/add')
      const anonymous = browser.cookie
      await browser.open('/sign-in')
      assert.equal((await browser.post('/sign-in', { name: 'Ada' })).status, 303)
      const first = browser.cookie
      // Sent before the first was answered.
      browser.cookie = anonymous
      const page = await browser.submit('/sign-in', { name: 'Ada' })
      assert.match(page, /class="user">Ada</)
      assert.match(page, /class="flash">Welcome, Ada! You had signed in [^<]*: see &#34;Devices&#34;/)
      assert.deepEqual(cartOf(page), [])
      assert.match(await browser.open('/devices'), /name="id" value="[0-9a-f]{64}"/, 'the first is there')
      browser.cookie = first
      assert.deepEqual(cartOf(await browser.open('/')), ['1 Sencha € 8.50'])
    })

    test('a form without its token is refused, and so is what the shop does not have', async () => {
      const browser = new FormBrowser(url)
      await browser.open('/')
      const another = new FormBrowser(url)
      await another.open('/')
      for (const token of [undefined, '', 'x', another.token]) {
        assert.equal((await browser.post('/cart/sencha/add', { _csrf: token ?? [] })).status, 403)
      }
      const elsewhere = await browser.post('/cart/sencha/add', {}, { 'Sec-Fetch-Site': 'cross-site' })
      assert.equal(elsewhere.status, 403, 'whatever token another site has')
      assert.deepEqual(cartOf(await browser.open('/')), [])
      assert.equal((await browser.post('/cart/gold/add')).status, 404)
      assert.equal((await browser.post('/cart/sencha/steal')).status, 404)
      assert.equal((await browser.post('/sign-in', { name: ['Ada', 'Bob'] })).status, 400)
      assert.equal((await browser.post('/sign-in', { name: 'A'.repeat(51) })).status, 400)
      assert.equal((await browser.post('/devices/end', { id: '0'.repeat(64) })).status, 401)
    })

    test('nobody signs out a device of somebody else', async () => {
      const [ada, bob] = [new FormBrowser(url), new FormBrowser(url)]
      for (const [browser, name] of [
        [ada, 'Ada'],
        [bob, 'Bob'],
      ] as const) {
        await browser.open('/sign-in')
        await browser.submit('/sign-in', { name })
      }
      const second = ada.twin()
      await second.open('/sign-in')
      await second.submit('/sign-in', { name: 'Ada' })
      const [, id = ''] = /name="id" value="([0-9a-f]{64})"/.exec(await ada.open('/devices')) ?? []
      assert.equal((await bob.post('/devices/end', { id })).status, 303)
      assert.match(await second.open('/'), /class="user">Ada</)
      assert.equal((await ada.post('/devices/end', { id })).status, 303)
      assert.doesNotMatch(await second.open('/'), /class="user"/)
    })

    test('of 100 requests at once the atomic session keeps 100, and the ordinary one fewer', async () => {
      const browser = new FormBrowser(url)
      await browser.open('/race')
      const page = await (await browser.post('/race')).text()
      assert.match(page, /The atomic session kept 100 of 100/)
      assert.ok(numberIn(page, /the ordinary one (\d+)/) < 100)
      for (const [side, commands] of [
        ['atomic', 100],
        ['ordinary', 200],
      ] as const) {
        const lane = page.split(`card ${side}" data-kept`)[1]?.split('</article>')[0] ?? ''
        assert.equal(lane.match(/<rect class="request/g)?.length, 100, side)
        assert.equal(
          lane.match(/<title>Request \d+: [\w $]+, \d+\.\d\d ms, [1-9]\d* bytes</g)?.length,
          commands,
          side,
        )
      }
    })

    test('who signs out during a slow request stays signed out of the atomic session alone', async () => {
      const browser = new FormBrowser(url)
      await browser.open('/race')
      const page = await (await browser.post('/race/sign-out')).text()
      assert.match(page, /card atomic" data-alive="false"[\s\S]*refused with 401, <code>SESSION_ENDED/)
      assert.match(page, /card ordinary" data-alive="true"[\s\S]*answered with 204[\s\S]*answered with 204/)
    })
  })
}

test('a cart in files outlives the shop’s process', async t => {
  const folder = await aFolder()
  t.after(folder.remove)
  const first = await startShop(folder.path)
  const browser = new FormBrowser(first.url)
  await browser.open('/')
  await browser.submit('/cart/sencha/add')
  assert.deepEqual(await first.stop(), [0, null])
  const second = await startShop(folder.path)
  t.after(() => second.stop())
  assert.deepEqual(cartOf(await browser.at(second.url).open('/')), ['1 Sencha € 8.50'])
})

async function inFiles(t: Ending, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const folder = await aFolder()
  const shop = await startShop(folder.path, env).catch(async error => {
    await folder.remove()
    throw error
  })
  t.after(async () => {
    await assertStops(shop)
    await folder.remove()
  })
  return shop.url
}

async function assertStops(shop: RunningShop): Promise<void> {
  assert.deepEqual(await shop.stop(), [0, null])
  assert.deepEqual(shop.complaints, [])
}

async function inMongoDB(t: Ending): Promise<string> {
  const database = `example_${randomUUID().slice(0, 8)}`
  const uri = process.env.MONGODB_URI?.replace(/^([^/]*\/\/[^/?]*)(?:\/[^?]*)?/, `$1/${database}`)
  const url = await inFiles(t, { MONGODB_URI: uri })
  t.after(async () => {
    const db = theClient().db(database)
    const kept = await db.collection('sessions').countDocuments()
    await db.dropDatabase()
    assert.notEqual(kept, 0)
  })
  return url
}

async function inPostgreSQL(t: Ending): Promise<string> {
  const database = `example_${randomUUID().slice(0, 8)}`
  await query(`CREATE DATABASE ${database}`)
  const { uri } = await thePostgreSQL()
  return inFiles(t, { DATABASE_URL: uri.replace(/[^/]*$/, database) })
}

async function inRedis(t: Ending): Promise<string> {
  const server = await RedisServer.start({ appendonly: 'yes' })
  const url = await inFiles(t, { REDIS_URL: `redis://${server.host}:${server.port}` })
  t.after(() => server.stop())
  return url
}

/** The lines of the page's cart, such as `2 Sencha € 17.00`. */
function cartOf(page: string): string[] {
  const lines = page.matchAll(/class="name">([^<]*)<[\s\S]*?class="amount">([^<]*)<[\s\S]*?<b>(\d+)</g)
  return Array.from(lines, ([, name, amount, quantity]) => `${quantity} ${name} ${amount}`)
}

function numberIn(page: string, pattern: RegExp): number {
  return Number(pattern.exec(page)?.[1])
}
