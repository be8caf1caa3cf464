import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'

/** The browser of the machine: nothing is downloaded. */
const chromiumPath: string | undefined = ['chromium', 'chromium-browser', 'google-chrome']
  .flatMap(name => (process.env.PATH ?? '').split(delimiter).map(folder => join(folder, name)))
  .find(isExecutable)

/** For the `skip` option of a test or suite that needs a browser: why it is skipped, or `false`. */
export const withoutChromium: string | false = chromiumPath ? false : 'no browser: chromium is not in PATH'

/** Says loudly, once for a test run, that there is none. */
export function warnWithoutChromium(): void {
  const line = '!'.repeat(80)
  const text = `!!! NO BROWSER: the tests that need one are SKIPPED.\n!!! Install Chromium, such as Debian's package chromium.`
  if (withoutChromium) console.error(`\n${line}\n${text}\n${line}\n`)
}

export function launchChromium(): Promise<Browser> {
  if (chromiumPath === undefined) throw new Error(String(withoutChromium))
  return chromium.launch({ executablePath: chromiumPath })
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
