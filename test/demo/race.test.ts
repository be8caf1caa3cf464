import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { withoutChromium } from '../support/chromium.ts'
import { demo, drawn, phone } from '../support/demo.ts'
import { gate } from '../support/gate.ts'
import { median } from '../support/median.ts'

suite('the race of the demo', { skip: withoutChromium }, () => {
  const { aPage } = demo()

  for (const javaScriptEnabled of [true, false]) {
    const how = javaScriptEnabled ? 'with JavaScript' : 'without JavaScript'

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
        assert.equal(await lane.locator('.bar rect:visible').count(), 100, 'kept or lost, each is drawn')
        assert.equal(await lane.locator('.timeline .request:visible').count(), 100)
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
      await page
        .getByRole('heading', {
          name: 'Ada signed out. In the atomic session she stayed signed out, in the ordinary one she was signed in again',
        })
        .waitFor()
    })

    test(`20 requests find an expired token: with once there is 1 refresh, without it there are many, and one is granted, ${how}`, async t => {
      const page = await aPage(t, { javaScriptEnabled })
      await page.goto('/race')
      await page.getByRole('button', { name: 'Refresh a token from 20 requests' }).click()
      await page
        .getByRole('heading', {
          name: /^20 requests found an expired token: 1 refresh with once, \d+ refreshes without$/,
        })
        .waitFor()
      const countsOf = async (side: string) => {
        const lane = page.locator(`article.${side}`)
        return [
          Number(await lane.getAttribute('data-refreshes')),
          Number(await lane.getAttribute('data-rejected')),
          await lane.locator('.timeline .request.kept').count(),
        ]
      }
      assert.deepEqual(await countsOf('atomic'), [1, 0, 20])
      const [asked = 0, rejected, succeeded] = await countsOf('ordinary')
      assert.ok(asked > 1)
      assert.deepEqual([rejected, succeeded], [asked - 1, 20 - (asked - 1)])
      assert.match(
        (await page.locator('article.atomic pre').textContent()) ?? '',
        /ctx\.session\.once\('tokens'/,
      )
    })

    test(`the result of a race is on a phone's screen, ${how}`, async t => {
      const page = await aPage(t, { javaScriptEnabled, viewport: phone })
      for (const [from, button] of [
        ['/', 'Run the race'],
        ['/race', 'Send 100 requests to each'],
        ['/race', 'Sign out during a slow request'],
        ['/race', 'Refresh a token from 20 requests'],
      ] as const) {
        await page.goto(from)
        await page.getByRole('button', { name: button }).click()
        await page.locator('#result').waitFor()
        await drawn(page)
        for (const part of ['#result-title', 'article.atomic .score']) {
          const box = await page.locator(part).boundingBox()
          assert.ok(
            box && box.y >= 0 && box.y + box.height <= phone.height,
            `${button}: ${JSON.stringify(box)}`,
          )
        }
      }
    })
  }

  test('the requests of both sides begin at the same time', async t => {
    const page = await aPage(t)
    await page.goto('/race')
    await page.getByRole('button', { name: 'Send 100 requests to each' }).click()
    await page.locator('#result').waitFor()
    const beginnings = (side: string) =>
      page
        .locator(`article.${side} .timeline .request`)
        .evaluateAll(requests => requests.map(request => Number(request.getAttribute('x'))))
    const [atomic, ordinary] = [await beginnings('atomic'), await beginnings('ordinary')]
    assert.equal(atomic.length, 100)
    const apart = atomic.map((x, index) => Math.abs(x - (ordinary[index] ?? Infinity)))
    assert.ok(median(apart) < 20, 'thousandths of the whole time, of most pairs')
  })

  test('while a race runs its button says what is under way, and sends nothing again', async t => {
    const page = await aPage(t)
    let sent = 0
    page.on('request', request => {
      if (request.method() === 'POST') sent++
    })
    await page.goto('/race')
    const button = page.getByRole('button', { name: 'Sign out during a slow request' })
    const looked = gate()
    await page.route('**/race/sign-out', route => looked.opened.then(() => route.continue()))
    await button.click({ clickCount: 2 })
    await page.getByRole('status').getByText('The slow request takes a second and a half').waitFor()
    assert.equal(await button.getAttribute('aria-busy'), 'true')
    looked.open()
    await page.getByRole('heading', { name: 'Ada signed out.' }).waitFor()
    assert.equal(await button.getAttribute('aria-busy'), null)
    assert.equal(await page.locator('output', { hasText: /./ }).count(), 0)
    assert.equal(sent, 1)
  })

  test('the button on the first page runs the race', async t => {
    const page = await aPage(t)
    await page.goto('/')
    await page.getByRole('button', { name: 'Run the race' }).click()
    await page.getByRole('heading', { name: 'The atomic session kept 100 of 100' }).waitFor()
  })
})
