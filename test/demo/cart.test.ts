import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { withoutChromium } from '../support/chromium.ts'
import { demo, drawn, phone, signIn } from '../support/demo.ts'

suite('the cart of the demo', { skip: withoutChromium }, () => {
  const { aPage } = demo()

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
  }

  test('each of eight quick clicks counts', async t => {
    const page = await aPage(t, { viewport: phone })
    await page.goto('/')
    await page.getByRole('button', { name: 'Add Rooibos' }).click({ clickCount: 8, delay: 20 })
    await page.getByText('8 in cart').waitFor()
    assert.equal(await page.locator('.steps b').textContent(), '8')
    assert.equal(await page.locator('.count').textContent(), '8')
  })

  test('a click counts whose button was pressed before the page changed under it', async t => {
    const page = await aPage(t)
    await page.goto('/')
    const add = page.getByRole('button', { name: 'Add Sencha' })
    await add.click()
    await page.mouse.down()
    await page.getByText('1 in cart').waitFor()
    await page.mouse.up()
    await page.getByText('2 in cart').waitFor()
  })

  for (const javaScriptEnabled of [true, false]) {
    const how = javaScriptEnabled ? 'with JavaScript' : 'without JavaScript'

    test(`a message is in view wherever the page is scrolled to, and a refusal is not green, ${how}`, async t => {
      const page = await aPage(t, { javaScriptEnabled, viewport: phone })
      const message = async (text: string) => {
        const flash = page.locator('.flash:visible', { hasText: text })
        await flash.waitFor()
        await drawn(page)
        const box = await flash.boundingBox()
        assert.ok(box && box.y >= 0 && box.y + box.height <= phone.height, `${text}: ${JSON.stringify(box)}`)
        return page.evaluate<string>("getComputedStyle(document.querySelector('.flash')).backgroundColor")
      }
      await signIn(page, 'Ada')
      const good = await message('Welcome, Ada!')
      const add = page.getByRole('button', { name: 'Add Rooibos' })
      for (let quantity = 1; quantity <= 9; quantity++) {
        await add.click()
        await page.getByText(`${quantity} in cart`).waitFor()
      }
      await add.click()
      assert.notEqual(await message('9 of Rooibos is all we sell to one visitor'), good)
      await page.getByRole('button', { name: 'Order' }).click()
      assert.equal(await message('Thank you for your order!'), good)
    })

    test(`an order without a sign-in asks for that and nothing else, and the cart stays, ${how}`, async t => {
      const page = await aPage(t, { javaScriptEnabled })
      await page.goto('/')
      await page.getByRole('button', { name: 'Add Sencha' }).click()
      await page.getByRole('button', { name: 'Order' }).click()
      await page.getByText('Sign in to order').waitFor()
      await page.getByLabel('Your name').fill('Ada')
      await page.getByRole('button', { name: 'Sign in' }).click()
      await page.getByText('Welcome, Ada!').waitFor()
      assert.equal(await page.locator('.amount').textContent(), '€ 8.50')
    })
  }

  test('the cart, the order and the devices show the code that runs', async t => {
    const page = await aPage(t)
    await signIn(page, 'Ada')
    await page.getByRole('button', { name: 'Add Sencha' }).click()
    const code = (part: string, index: number) =>
      page.locator(`${part} .code`).nth(index).locator('pre').textContent()
    assert.match((await code('.cart', 0)) ?? '', /^const quantity[\s\S]*\.inc\(quantity\)[\s\S]*addToSet/)
    assert.match((await code('.cart', 1)) ?? '', /^const ordered[\s\S]*\.take\('cart'\)$/)
    await page.goto('/devices')
    assert.match((await code('.devices', 0)) ?? '', /sessions\.endAll\(user, \{ except: id \}\)$/)
  })
})
