import { launchChromium } from '../test/support/chromium.ts'
import { aFolder, startShop } from '../test/support/shop.ts'

// npm run screenshot: makes the README's pictures of the example shop, docs/demo.png and docs/demo-dark.png.

const RUNS = 12

const folder = await aFolder()
const shop = await startShop(folder.path)
const browser = await launchChromium()
try {
  for (const [colorScheme, file] of [
    ['light', 'docs/demo.png'],
    ['dark', 'docs/demo-dark.png'],
  ] as const) {
    const viewport = { width: 1120, height: 800 }
    const page = await browser.newPage({ baseURL: shop.url, viewport, colorScheme, reducedMotion: 'reduce' })
    await page.goto('/race')
    // The quickest of some runs is shown: in the first the shop has not even loaded all of its code, and in others the machine
    // may be busy with something else.
    let quickest = Infinity
    for (let run = 0; run < RUNS; run++) {
      await Promise.all([
        page.waitForResponse(response => response.request().method() === 'POST'),
        page.getByRole('button', { name: 'Send 100 requests to each' }).click(),
      ])
      await page.locator('#run-race:not([aria-busy])').waitFor()
      const milliseconds = Number.parseInt((await page.locator('.axis span').last().textContent()) ?? '', 10)
      if (milliseconds >= quickest) continue
      quickest = milliseconds
      await page.mouse.move(0, 0)
      await page.screenshot({ path: file, fullPage: true })
    }
    await page.close()
  }
} finally {
  await browser.close()
  await shop.stop()
  await folder.remove()
}
