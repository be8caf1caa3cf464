import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Page } from 'playwright-core'
import { withoutChromium } from '../support/chromium.ts'
import { demo, signIn } from '../support/demo.ts'

suite('the devices of the demo', { skip: withoutChromium }, () => {
  const { aPage, anotherShop } = demo()

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
    const another = await anotherShop(t)
    const [here, there] = [await aPage(t), await aPage(t, { baseURL: another.url })]
    for (const page of [here, there]) await signIn(page, 'Edsger')
    await here.goto('/devices')
    await here.getByRole('button', { name: 'Sign out all others' }).click()
    await there.getByText('This device has been signed out.').waitFor()
  })

  test('a page whose device is signed out elsewhere shows at once that nobody is signed in', async t => {
    const [here, there] = [await aPage(t), await aPage(t)]
    await signIn(here, 'Barbara')
    await there.goto('/')
    await there.getByRole('button', { name: 'Add Sencha' }).click()
    await there.getByText('1 in cart').waitFor()
    await signIn(there, 'Barbara')
    assert.equal(await there.locator('.count').textContent(), '1')
    await here.goto('/devices')
    await here.getByRole('button', { name: 'Sign out all others' }).click()
    await there.getByText('This device has been signed out.').waitFor()
    await there.locator('.account').getByRole('link', { name: 'Sign in' }).waitFor()
    assert.equal(await there.locator('.user').count(), 0)
    assert.equal(await there.locator('.count').textContent(), '0')
  })

  test('who is not signed in any more gets a page with a link to sign in', async t => {
    const page = await aPage(t, { javaScriptEnabled: false }, /401/)
    const another = await aPage(t)
    for (const visitor of [page, another]) await signIn(visitor, 'Margaret')
    await page.goto('/devices')
    await another.goto('/devices')
    await another.getByRole('button', { name: 'Sign out all others' }).click()
    await another.getByText('1 other device has been signed out').waitFor()
    await page.getByRole('button', { name: 'Sign out all others' }).click()
    await page.getByText('Error 401.').getByRole('link', { name: 'Sign in' }).click()
    await page.getByLabel('Your name').waitFor()
  })

  test('"This page is live" stays while it is, and goes when the server goes', async t => {
    const shop = await anotherShop(t)
    const page = await aPage(t, { baseURL: shop.url }, /ERR_/)
    const second = await aPage(t)
    for (const visitor of [page, second]) await signIn(visitor, 'Radia')
    await page.goto('/devices')
    await page.getByText('This page is live').waitFor()
    await page.getByRole('button', { name: 'Sign out all others' }).click()
    await page.getByText('1 other device has been signed out').waitFor()
    assert.ok(await page.getByText('This page is live').isVisible())
    assert.deepEqual(await shop.stop(), [0, null])
    await page.getByText('The connection is lost').waitFor()
    assert.equal(await page.getByText('This page is live').isVisible(), false)
  })

  test('Ctrl-C ends the shop at once, also while pages are open', async t => {
    const shop = await anotherShop(t)
    const page = await aPage(t, { baseURL: shop.url }, /ERR_/)
    await signIn(page, 'Frances')
    await page.goto('/devices')
    await page.getByText('This page is live').waitFor()
    const begun = performance.now()
    assert.deepEqual(await shop.stop('SIGINT'), [0, null])
    const milliseconds = performance.now() - begun
    assert.ok(milliseconds < 2500, `${milliseconds} ms`)
    assert.deepEqual(shop.complaints, [])
  })
})
