import axe from 'axe-core'
import type { BrowserContextOptions } from 'playwright-core'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { jobPage } from '../../decider/jobs/page.ts'
import type { JobMetrics } from '../../decider/jobs/document.ts'
import { systemClock } from '../../lib/service/clock.ts'
import { silentLog } from '../../lib/service/log.ts'
import { createOpsServer } from '../../lib/service/ops-server.ts'
import { documentOf } from '../jobs/document.ts'
import { openBrowser, openPage } from '../support/browser.ts'

/** The page as the decider's server sends it. */
async function serve(t: Test, metrics: JobMetrics): Promise<string> {
  const server = createOpsServer({
    listen: { host: '127.0.0.1', port: 0 },
    registry: new Registry(),
    ready: () => true,
    routes: { '/jobs/*': () => jobPage(metrics) },
    portTaken: 'fail',
    clock: systemClock,
    random: Math.random,
    log: silentLog,
  })
  await server.start()
  t.teardown(() => server.stop())
  return `http://127.0.0.1:${server.address()?.port ?? 0}/jobs/42`
}

/** Each would do something if it were ever more than text. */
const HOSTILE = [
  '<script>alert(1)</script>',
  '</title><script>alert(1)</script>',
  '</style><img src=x onerror=alert(1)>',
  '"><svg onload=alert(1)>',
  "' onmouseover='alert(1)",
  '<a href="javascript:alert(1)">press</a>',
  '&lt;script&gt;alert(1)&lt;/script&gt;',
  '\u202egnihton\u202c',
  '<style>*{display:none}</style>',
  '<meta http-equiv="refresh" content="0;url=https://example.com/">',
]

function poisoned(): JobMetrics {
  const honest = documentOf()
  let index = 0
  const next = () => HOSTILE[index++ % HOSTILE.length] ?? ''
  return {
    ...honest,
    job: { ...honest.job, name: next(), ref: next(), url: 'javascript:alert(1)' },
    pod: { ...honest.pod, namespace: next(), name: next() },
    containers: honest.containers.map(container => ({ ...container, name: next() })),
    queries: honest.queries.map(query => ({
      ...query,
      name: query.name === 'cpu' ? 'cpu' : next(),
      unit: next(),
      series: query.series.map(series => ({ ...series, labels: { [next()]: next() } })),
    })),
    warnings: HOSTILE,
  }
}

t.test('the page of a job in a real browser', async t => {
  const browser = await openBrowser(t)
  if (!browser) return

  const settings: [string, BrowserContextOptions][] = [
    ['under the page’s policy', {}],
    ['and no policy is needed for that', { bypassCSP: true }],
  ]
  for (const [name, options] of settings) {
    await t.test(`what users wrote is text and nothing of it runs, ${name}`, async t => {
      const { page, complaints } = await openPage(browser, await serve(t, poisoned()), options)
      t.strictSame(complaints, [])
      t.equal(await page.locator('main :is(script, style, img, a, iframe, form, meta)').count(), 0)
      t.equal(await page.locator('main li').count(), HOSTILE.length)
      const lines = await page.locator('main li').allTextContents()
      t.strictSame(lines, HOSTILE)
      t.equal(await page.locator('h1').textContent(), `Job 42: ${HOSTILE[0]}`)
    })
  }

  await t.test('it draws each series with its summary, shows gaps, and hides nothing from a screen reader', async t => {
    const { page, complaints } = await openPage(browser, await serve(t, documentOf()), { bypassCSP: true })
    t.equal(await page.locator('svg[role=img] polyline').count(), 3, 'build and helper of cpu, build of memory')
    t.match(await page.locator('svg[role=img]').first().getAttribute('aria-label'), /^cpu over 60 s, at most 1\.23/)
    t.equal(await page.locator('svg .limit').count(), 1, 'the memory limit is below the peak, that of the CPU is not')
    t.match(await page.locator('main').textContent(), /killed for want of memory/)
    t.match(await page.locator('main').textContent(), /too few samples/)
    await page.evaluate(axe.source)
    const { violations } = await page.evaluate<axe.AxeResults>('axe.run()')
    t.strictSame(
      violations.flatMap(({ id, nodes }) => nodes.map(node => `${id}: ${node.html} ${node.failureSummary ?? ''}`)),
      [],
    )
    t.strictSame(complaints, [])
  })

  await t.test('it looks right under its own policy: the style is in force', async t => {
    const { page } = await openPage(browser, await serve(t, documentOf()))
    t.equal(await page.evaluate("getComputedStyle(document.querySelector('polyline')).fill"), 'none')
    t.not(await page.evaluate("getComputedStyle(document.querySelector('polyline')).stroke"), 'none')
  })
})
