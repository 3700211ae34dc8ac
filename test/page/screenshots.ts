/** Draws the pictures of the documentation: `npm run screenshots`. The world is simulated, the decider and browser are real. */
import { chromium, type BrowserContextOptions } from 'playwright-core'
import type { StatusReport } from '../../decider/app.ts'
import { findChromium, openPage } from '../support/browser.ts'
import { serveStatus } from '../support/status-page.ts'
import { type WorldCluster, createWorld } from '../support/world.ts'

const MINUTE_MS = 60_000

const executablePath = await findChromium()
if (executablePath === undefined) throw new Error('the program `chromium` is not on PATH')
const browser = await chromium.launch({ executablePath })

const world = createWorld({
  clusters: [
    { name: 'a', tagged: true, runners: 3, priority: 2 },
    { name: 'b', runners: 3 },
  ],
})
const [a, b] = Object.values(world.clusters)
if (!a || !b) throw new Error('the world has two clusters')
const server = await serveStatus(() => inService(b))
for (const cluster of [a, b]) cluster.start()

// The tag moved in the night, and the cluster that died is back.
await world.clock.advance(52 * MINUTE_MS)
a.die()
await world.clock.advance(34 * MINUTE_MS)
a.start()
await world.clock.advance(47 * MINUTE_MS)
await draw('docs/status-page-light.png', { viewport: { width: 1120, height: 980 }, colorScheme: 'light' })

// It died again: nobody is left to take over.
a.die()
await world.clock.advance(7 * MINUTE_MS)
await draw('docs/status-page-dark-phone.png', {
  viewport: { width: 390, height: 844 },
  colorScheme: 'dark',
  deviceScaleFactor: 1.5,
})

await server.stop()
await browser.close()
// The world's runners would poll for ever.
process.exit()

async function draw(path: string, options: BrowserContextOptions): Promise<void> {
  const { page } = await openPage(browser, server.url, { ...options, reducedMotion: 'reduce' })
  await page.getByRole('heading', { level: 2 }).waitFor()
  await page.screenshot({ path, fullPage: process.argv.includes('--whole') })
}

/** The status as a pod of an installation would tell it. */
function inService({ name, decider }: WorldCluster): StatusReport {
  const status = decider?.status()
  if (!status) throw new Error(`cluster ${name} has no decider`)
  return { ...status, decider: { id: 'hadr-decider-6c9f7d-x4q2p', version: '0.1.0' } }
}
