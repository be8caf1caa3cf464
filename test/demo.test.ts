import assert from 'node:assert/strict'
import { after, before, suite, type TestContext, test } from 'node:test'
import axe, { type AxeResults } from 'axe-core'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { launchChromium, withoutChromium } from './support/chromium.ts'
import { aFolder, type RunningShop, startShop } from './support/shop.ts'

const phone = { width: 390, height: 844 }
const desktop = { width: 1280, height: 800 }

suite('the example shop in a browser', { skip: withoutChromium }, () => {
  let folder: Awaited<ReturnType<typeof aFolder>>
  let shop: RunningShop
  let browser: Browser

  before(async () => {
    folder = await aFolder()
    shop = await startShop(folder.path)
    browser = await launchChromium()
  })

  after(async () => {
    await browser?.close()
    assert.deepEqual(await shop?.stop(), [0, null])
    await folder?.remove()
    assert.deepEqual(shop?.complaints, [])
  })

  /** A page of a browser of its own. When the test ends, its console must have stayed silent. */
  async function aPage(t: TestContext, options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext({ baseURL: shop.url, reducedMotion: 'reduce', ...options })
    context.setDefaultTimeout(20_000)
    const page = await context.newPage()
    const complaints: string[] = []
    page.on('pageerror', error => complaints.push(String(error)))
    page.on('console', message => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
    })
    t.after(async () => {
      await context.close()
      assert.deepEqual(complaints, [])
    })
    return page
  }

  for (const javaScriptEnabled of [true, false]) {
    const how = javaScriptEnabled ? 'with JavaScript' : 'without JavaScript'

    test(`a visitor signs in, fills a cart, orders and signs out, ${how}`, async t => {
      const page = await aPage(t, { javaScriptEnabled })
      await page.goto('/')
      await page.getByRole('button', { name: 'Add Sencha' }).click()
      await page.getByRole('button', { name: 'One Sencha more' }).click()
      await page.locator('.steps b', { hasText: '2' }).waitFor()
      await signIn(page, 'Ada')
      assert.equal(await page.locator('.flash:visible').textContent(), 'Welcome, Ada!')
      await page.reload()
      assert.equal(await page.locator('.flash:visible').count(), 0, 'the message is shown once')
      assert.equal(await page.locator('.amount').textContent(), '€ 17.00', 'the cart came along')

      await page.getByRole('button', { name: 'Order' }).click()
      await page.getByText('Thank you for your order!').waitFor()
      assert.equal(await page.locator('.count').textContent(), '0')
      await page.getByRole('button', { name: 'Sign out' }).click()
      await page.getByRole('link', { name: 'Sign in' }).waitFor()
    })

    test(`100 requests at once: 100 of 100 in the atomic session, fewer in the ordinary one, ${how}`, async t => {
      const page = await aPage(t, { javaScriptEnabled })
      await page.goto('/race')
      await page.getByRole('button', { name: 'Send 100 requests to each' }).click()
      const [atomic, ordinary] = [page.locator('article.atomic'), page.locator('article.ordinary')]
      const keptBy = async (lane: typeof atomic) => Number(await lane.locator('.score b').textContent())
      assert.equal(await keptBy(atomic), 100)
      assert.ok((await keptBy(ordinary)) < 100)
      for (const [lane, commands] of [
        [atomic, 100],
        [ordinary, 200],
      ] as const) {
        assert.equal(await lane.locator('.bar .kept').count(), await keptBy(lane))
        assert.equal(await lane.locator('.timeline .request').count(), 100)
        const bytes = await lane.locator('tbody td:nth-child(5)').allTextContents()
        assert.equal(bytes.length, commands)
        assert.ok(bytes.every(text => Number(text) > 0))
      }
    })

    test(`a slow request brings only the ordinary session back to life, ${how}`, async t => {
      const page = await aPage(t, { javaScriptEnabled })
      await page.goto('/race')
      await page.getByRole('button', { name: 'Sign out during a slow request' }).click()
      const score = (side: string) => page.locator(`article.${side} .score`).textContent()
      assert.equal(await score('atomic'), 'Nobody is signed in')
      assert.equal(await score('ordinary'), 'Ada is signed in again')
      assert.match(
        (await page.locator('article.atomic').textContent()) ?? '',
        /refused with 401, SESSION_ENDED/,
      )
    })
  }

  test('the button on the first page runs the race', async t => {
    const page = await aPage(t)
    await page.goto('/')
    await page.getByRole('button', { name: 'Run the race' }).click()
    await page.getByRole('heading', { name: 'The atomic session kept 100 of 100' }).waitFor()
  })

  test('a browser is remembered for a month if its visitor wants that, and else until it is closed', async t => {
    const expiry = async (remember: boolean) => {
      const page = await aPage(t)
      await signIn(page, 'Ada', remember)
      const [cookie] = await page.context().cookies()
      return cookie?.expires ?? Number.NaN
    }
    assert.equal(await expiry(false), -1)
    const days = ((await expiry(true)) - Date.now() / 1000) / (24 * 60 * 60)
    assert.ok(days > 29 && days < 32, String(days))
  })

  test('a device that another one signs out says so by itself', async t => {
    const [here, there, third] = [await aPage(t), await aPage(t), await aPage(t)]
    const name = 'Grace'
    for (const page of [here, there]) await signIn(page, name)
    await here.goto('/devices')
    await here.getByText('This page is live').waitFor()
    assert.equal(await here.locator('.devices li').count(), 2)
    await signIn(third, name)
    await here.locator('.devices li').nth(2).waitFor()

    const notice = (page: Page) => page.getByText('This device has been signed out.')
    await here.locator('.devices li').last().getByRole('button', { name: 'Sign out' }).click()
    await notice(there).waitFor()
    assert.equal(await notice(third).isVisible(), false)
    await here.getByRole('button', { name: 'Sign out all others' }).click()
    await here.getByText('1 other device has been signed out').waitFor()
    await notice(third).waitFor()
    assert.equal(await here.locator('.devices li').count(), 1)
    assert.equal(await notice(here).isVisible(), false)
    await there.reload()
    await there.getByRole('link', { name: 'Sign in', exact: true }).waitFor()
  })

  test('a device says so too if the other one is served by another process', async t => {
    const another = await startShop(folder.path)
    t.after(another.stop)
    const [here, there] = [await aPage(t), await aPage(t, { baseURL: another.url })]
    for (const page of [here, there]) await signIn(page, 'Edsger')
    await here.goto('/devices')
    await here.getByRole('button', { name: 'Sign out all others' }).click()
    await there.getByText('This device has been signed out.').waitFor()
  })

  test('the keyboard alone is enough', async t => {
    const page = await aPage(t, { viewport: desktop })
    const press = async (key: string, times = 1) => {
      for (let time = 0; time < times; time++) await page.keyboard.press(key)
    }
    /** Goes on with Tab to what has this name, and gives the names of what was passed. */
    const tabTo = async (name: string) => {
      const passed: string[] = []
      for (let steps = 0; steps < 30; steps++) {
        await press('Tab')
        const focused = await page.evaluate<string>(FOCUSED)
        if (focused === name) return passed
        passed.push(focused)
      }
      throw new Error(`${name} is not among ${passed.join(', ')}`)
    }

    await page.goto('/')
    assert.deepEqual(await tabTo('To the content'), [])
    assert.ok(await page.getByRole('link', { name: 'To the content' }).isVisible())
    await press('Enter')
    assert.deepEqual(await tabTo('Add Sencha'), ['Run the race', 'What is it?'])
    await press('Space')
    await page.getByRole('button', { name: 'One Sencha more' }).waitFor()
    assert.equal(await page.evaluate(FOCUSED), 'Add Sencha', 'the focus stays where it was')
    await tabTo('One Sencha more')
    await press('Enter')
    await page.locator('.steps b', { hasText: '2' }).waitFor()
    assert.equal(await page.evaluate(FOCUSED), 'One Sencha more')

    await page.goto('/')
    assert.deepEqual(await tabTo('Sign in'), [
      'To the content',
      'Hundred Leaves',
      'Teas',
      'The race',
      'Cart 2',
    ])
    await press('Enter')
    await page.waitForURL('**/sign-in')
    await tabTo('Your name')
    await page.keyboard.type('Ada')
    await tabTo('Remember me for a month')
    await press('Space')
    await press('Enter')
    await page.getByText('Welcome, Ada!').waitFor()

    await page.goto('/race')
    await tabTo('Send 100 requests to each')
    await press('Space')
    await page.locator('#result:focus').waitFor()
    await tabTo('All 100 commands')
    await press('Enter')
    assert.ok(await page.getByRole('region', { name: 'Commands of the atomic session' }).isVisible())
  })

  for (const colorScheme of ['light', 'dark'] as const) {
    for (const [size, viewport] of Object.entries({ phone, desktop })) {
      test(`no page has a serious accessibility fault or is wider than a ${size}, ${colorScheme}`, async t => {
        const page = await aPage(t, { viewport, colorScheme })
        const check = async (what: string) => {
          await page.evaluate(axe.source)
          const { violations } = await page.evaluate<AxeResults>('axe.run()')
          const faults = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
          assert.deepEqual(
            faults.map(({ id, nodes }) => `${what}: ${id} ${nodes.map(node => node.html).join(' ')}`),
            [],
          )
          assert.ok(
            await page.evaluate('document.documentElement.scrollWidth <= innerWidth'),
            `${what} is too wide`,
          )
        }

        await page.goto('/sign-in')
        await check('sign-in')
        await signIn(page, 'A name as long as a name may be in this tea shop')
        await page.getByRole('button', { name: 'Add Sencha' }).click()
        await page.getByRole('button', { name: 'Order' }).waitFor()
        await check('shop')
        await page.goto('/devices')
        await check('devices')
        await page.goto('/race')
        await page.getByRole('button', { name: 'Send 100 requests to each' }).click()
        await page.locator('#result summary').first().click()
        await check('race')
        await page.getByRole('button', { name: 'Sign out during a slow request' }).click()
        await page.getByText('Ended means ended').waitFor()
        await check('sign-out')
      })
    }
  }
})

/** The name of what has the focus. */
const FOCUSED = `(({ activeElement: element }) =>
  (element.ariaLabel ?? (element.labels?.length ? element.labels[0].textContent : element.textContent)).trim().replace(/\\s+/g, ' ')
)(document)`

async function signIn(page: Page, name: string, remember = false): Promise<void> {
  await page.goto('/sign-in')
  await page.getByLabel('Your name').fill(name)
  if (remember) await page.getByLabel('Remember me for a month').check()
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByText(`Welcome, ${name}!`).waitFor()
}
