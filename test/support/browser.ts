import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { type Browser, type BrowserContextOptions, type Page, chromium } from 'playwright-core'
import type { Test } from 'tap'

/** The Chromium on PATH; undefined: there is none. */
export async function findChromium(): Promise<string | undefined> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const file = join(folder, 'chromium')
    try {
      await access(file, constants.X_OK)
      return file
    } catch {
      // The next folder may have it.
    }
  }
  return undefined
}

/**
 * A real headless Chromium that ends with the test. Without one the test is skipped visibly, and fails where CI=true:
 * there a missing program is a mistake of the machine. `const browser = await openBrowser(t); if (!browser) return`
 */
export async function openBrowser(t: Test): Promise<Browser | undefined> {
  const executablePath = await findChromium()
  if (executablePath === undefined) {
    const message = 'the program `chromium` is not on PATH (Debian: apt-get install chromium)'
    if (process.env['CI'] === 'true') t.fail(message)
    else t.pass(message, { skip: message })
    return undefined
  }
  const browser = await chromium.launch({ executablePath })
  t.teardown(() => browser.close())
  return browser
}

export interface WatchedPage {
  page: Page
  /** What no page of ours may cause: errors in the console, exceptions, dialogs, requests to anywhere else. */
  complaints: string[]
}

/** Opens `url` and notes what must not happen; times are UTC, and its clock can be moved on (`page.clock`). */
export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<WatchedPage> {
  const context = await browser.newContext({ timezoneId: 'UTC', locale: 'en-GB', ...options })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', message => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
  })
  page.on('pageerror', error => complaints.push(String(error)))
  page.on('dialog', dialog => {
    complaints.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('request', request => {
    const { origin, protocol } = new URL(request.url())
    if (protocol !== 'data:' && origin !== new URL(url).origin) complaints.push(`request to ${request.url()}`)
  })
  await page.clock.install()
  await page.goto(url)
  return { page, complaints }
}
