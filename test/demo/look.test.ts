import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import axe, { type AxeResults } from 'axe-core'
import { withoutChromium } from '../support/chromium.ts'
import { demo, desktop, drawn, narrow, phone, signIn } from '../support/demo.ts'

suite('the look of the demo', { skip: withoutChromium }, () => {
  const { aPage } = demo()

  for (const [size, viewport] of Object.entries({ phone, desktop })) {
    test(`the first screen of a ${size} says what a session is, what goes wrong elsewhere and what this does`, async t => {
      const page = await aPage(t, { viewport })
      await page.goto('/')
      for (const [what, locator] of Object.entries({
        'what a session is': page.getByText('A session is what a server remembers'),
        'what goes wrong': page.getByText('one overwrites the other'),
        'what this does': page.getByText('one atomic command'),
        'code before': page.locator('.versus .ordinary', { hasText: 'ctx.session.cart .push(tea)' }),
        'code after': page.locator('.versus .atomic', { hasText: "await ctx.session .push('cart', tea)" }),
        'the score of an ordinary session': page.locator('.versus .ordinary .score'),
        'the score of the atomic session': page.locator('.versus .atomic', { hasText: '100 of 100 kept' }),
        'what to do next': page.getByRole('button', { name: 'Run the race' }),
        'where to read on': page.getByRole('link', { name: 'README' }),
      })) {
        const box = await locator.boundingBox()
        assert.ok(
          box && box.y >= 0 && box.y + box.height <= viewport.height,
          `${what}: ${JSON.stringify(box)}`,
        )
      }
      assert.ok(Number(await page.locator('.versus .ordinary .score b').textContent()) < 100)
      await page.getByRole('link', { name: 'README' }).click()
      await page.getByText('Server-side sessions for').waitFor()
    })
  }

  for (const [size, viewport] of Object.entries({ phone, narrow })) {
    test(`the header of a ${size} has room for a name beside what can be clicked`, async t => {
      const page = await aPage(t, { viewport })
      await signIn(page, 'Ada Lovelace')
      await drawn(page)
      const name = page.locator('.user')
      assert.ok(await name.evaluate(element => element.scrollWidth <= element.clientWidth), 'the name is cut')
      const boxes = await page.locator('header :is(a, button, .user)').evaluateAll(elements =>
        elements.map(element => {
          const { left, right, top, bottom } = element.getBoundingClientRect()
          return { text: element.textContent, left, right, top, bottom }
        }),
      )
      for (const [index, one] of boxes.entries()) {
        assert.ok(one.left >= 0 && one.right <= viewport.width, one.text)
        for (const other of boxes.slice(index + 1)) {
          const areApart =
            one.right <= other.left ||
            other.right <= one.left ||
            one.bottom <= other.top ||
            other.bottom <= one.top
          assert.ok(areApart, `${one.text} lies over ${other.text}`)
        }
      }
    })

    test(`the table of commands is as wide as a ${size}, and a shadow tells that it goes on below`, async t => {
      const page = await aPage(t, { viewport })
      await page.goto('/race')
      await page.getByRole('button', { name: 'Send 100 requests to each' }).click()
      await page.locator('.ordinary summary').click()
      const table = page.getByRole('region', { name: 'Commands of the ordinary session' })
      assert.deepEqual(
        await table.evaluate(element => [
          element.scrollWidth <= element.clientWidth,
          element.scrollHeight > element.clientHeight,
        ]),
        [true, true],
      )
      assert.equal(
        await page.evaluate("getComputedStyle(document.querySelector('.scroll')).backgroundAttachment"),
        'local, local, scroll, scroll',
      )
    })
  }

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
    assert.deepEqual(await tabTo('Add Sencha'), ['Run the race', 'What is it?', 'README'])
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
    for (const [size, viewport] of Object.entries({ phone, narrow, desktop })) {
      test(`no page has a serious accessibility fault or is wider than a ${size}, ${colorScheme}`, async t => {
        const page = await aPage(t, { viewport, colorScheme })
        const check = async (what: string) => {
          await drawn(page)
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
        await page.getByRole('button', { name: 'Refresh a token from 20 requests' }).click()
        await page.getByText('20 requests found').waitFor()
        await check('refresh')
        await page.goto('/readme')
        await check('README')
      })
    }
  }
})

/** The name of what has the focus. */
const FOCUSED = `(({ activeElement: element }) =>
  (element.ariaLabel ?? (element.labels?.length ? element.labels[0].textContent : element.textContent)).trim().replace(/\\s+/g, ' ')
)(document)`
