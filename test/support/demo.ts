import assert from 'node:assert/strict'
import { after, before, type TestContext } from 'node:test'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { launchChromium } from './chromium.ts'
import { aFolder, type RunningShop, startShop } from './shop.ts'

export const phone = { width: 390, height: 844 }
export const narrow = { width: 320, height: 568 }
export const desktop = { width: 1280, height: 800 }

export interface Demo {
  /** A page of a browser of its own. When the test ends, its console must have stayed silent, but for what matches `expected`. */
  aPage(t: TestContext, options?: BrowserContextOptions, expected?: RegExp): Promise<Page>
  /** Another process of the shop, with the same sessions, until the test ends. */
  anotherShop(t: TestContext, env?: NodeJS.ProcessEnv): Promise<RunningShop>
}

/** A running shop and a browser for the tests of one suite. */
export function demo(): Demo {
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

  return {
    async aPage(t, options = {}, expected) {
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
        assert.deepEqual(
          complaints.filter(text => !expected?.test(text)),
          [],
        )
      })
      return page
    },

    async anotherShop(t, env) {
      const another = await startShop(folder.path, env)
      t.after(() => another.stop())
      return another
    },
  }
}

/**
 * Waits until a page is drawn as its visitor sees it. Before all stylesheets have come, the browser has boxes of it, but
 * has neither laid it out nor scrolled to what its address names.
 */
export async function drawn(page: Page): Promise<void> {
  await page.waitForLoadState()
  // A picture needs a frame, and so comes after the scroll. requestAnimationFrame() does not run without JavaScript.
  await page.screenshot()
}

export async function signIn(page: Page, name: string, remember = false): Promise<void> {
  await page.goto('/sign-in')
  await page.getByLabel('Your name').fill(name)
  if (remember) await page.getByLabel('Remember me for a month').check()
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByText(`Welcome, ${name}!`).waitFor()
}
