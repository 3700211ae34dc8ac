import type { BrowserContextOptions } from 'playwright-core'
import t from 'tap'
import { openBrowser, openPage } from '../support/browser.ts'
import { startStatusServer } from '../support/status-page.ts'
import { MAIN_TAG, createWorld } from '../support/world.ts'

/** Each would call `alert` or change the page if it were ever more than text. */
const HOSTILE = [
  '<script>alert(1)</script>',
  '</script><script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '<svg/onload=alert(1)>',
  '"><svg onload=alert(1)>',
  "' onmouseover='alert(1)",
  '" autofocus onfocus="alert(1)" x="',
  '<iframe srcdoc="<script>parent.alert(1)</script>">',
  '<a href="javascript:alert(1)">press</a>',
  'javascript:alert(1)',
  'data:text/html,<script>alert(1)</script>',
  '<style>*{display:none}</style>',
  '</style><style>body{display:none}</style>',
  '<meta http-equiv="refresh" content="0;url=https://example.com/">',
  '<base href="https://example.com/">',
  '<form action="https://example.com/"><button>press</button></form>',
  '<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>',
  '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
  '&lt;script&gt;alert(1)&lt;/script&gt;',
  '\\u003cscript\\u003ealert(1)\\u003c/script\\u003e',
  '＜script＞alert(1)＜/script＞',
  '${alert(1)} {{constructor.constructor("alert(1)")()}}',
  '__proto__',
  'constructor',
  '\u202egnihton si ereht\u202c \u2066isolated\u2069',
  'zero\u200bwidth\ufeff and \u0301\u0301\u0301 marks',
  '<!-- comment --> <![CDATA[ x ]]>',
  'line\nbreak\ttab \u0000 \ud800 lone',
  'x'.repeat(3000),
]

const FREE_TEXT = [
  'name',
  'tag',
  'pool',
  'mainTag',
  'explain',
  'text',
  'why',
  'by',
  'to',
  'reason',
  'refused',
  'leader',
  'id',
  'version',
]

/** The answer with every free text, and names wherever they are repeated, replaced by hostile ones. */
function poison(value: unknown, next: () => string, names: Map<string, string>, key = ''): unknown {
  if (Array.isArray(value)) return value.map(each => poison(each, next, names, key))
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, poison(inner, next, names, name)]))
  }
  if (typeof value !== 'string') return value
  if (key === 'cluster' || key === 'holders' || key === 'name') {
    if (!names.has(value)) names.set(value, next())
    return names.get(value)
  }
  return FREE_TEXT.includes(key) ? next() : value
}

t.test('text that wants to be more', async t => {
  const browser = await openBrowser(t)
  if (!browser) return
  const world = createWorld({ clusters: [{ name: 'a', tagged: true, priority: 2 }, { name: 'b' }, { name: 'c' }] })
  for (const cluster of Object.values(world.clusters)) cluster.start()
  await world.clock.advance(120_000)
  world.clusters['a']?.die()
  await world.clock.advance(240_000)
  const honest = world.clusters['b']?.decider?.status()
  if (!honest) throw new Error('the decider of b does not run')
  const [pool] = honest.pools
  if (!pool) throw new Error('the decider of b has not decided')
  const wish = { until: pool.at, by: '', why: '' }
  const full = {
    ...honest,
    pools: [{ ...pool, pause: wish, pin: { ...wish, to: '', force: true, refused: '' } }, pool],
  }

  const attack = async (first: number, options: BrowserContextOptions) => {
    const shown: string[] = []
    let index = first
    const next = () => {
      const text = HOSTILE[index++ % HOSTILE.length] ?? ''
      shown.push(text)
      return text
    }
    const poisoned = poison(full, next, new Map()) as typeof full
    const { url } = await startStatusServer(t, () => poisoned)
    const { page, complaints } = await openPage(browser, url, options)
    await page.locator('main section').nth(1).waitFor()
    await page.locator('summary').first().click()
    await page.clock.runFor(11_000)
    return { page, complaints, shown, poisoned }
  }

  const settings: [string, BrowserContextOptions][] = [
    ['under the page’s policy', {}],
    ['and no policy is needed for that', { bypassCSP: true }],
  ]
  for (const [name, options] of settings) {
    await t.test(`is shown as text, and nothing of it runs, ${name}`, async t => {
      for (const first of [0, 11]) {
        const { page, complaints, shown, poisoned } = await attack(first, options)
        t.strictSame(complaints, [], 'no script, no dialog, no request, no refusal')
        const foreignElements = 'script, style, img, iframe, form, button, base, meta, math, a:not([href^="#pool-"])'
        t.equal(await page.locator(`main :is(${foreignElements})`).count(), 0, 'no markup came of it')
        const attributes = await page.evaluate<string[]>(
          "[...document.querySelectorAll('body *')].flatMap(node => node.getAttributeNames()).filter(name => /^on|^style$|^srcdoc$/.test(name))",
        )
        t.strictSame(attributes, [])
        t.equal(shown.length > HOSTILE.length, true, 'every text had its turn')
        const content = wire((await page.locator('main').textContent()) ?? '')
        for (const { explain } of poisoned.pools) t.ok(content.includes(wire(explain)), JSON.stringify(explain))
        t.ok(content.includes(wire(poisoned.pools[0]?.pause?.why ?? '')))
        await page.context().close()
      }
    })
  }

  await t.test('cannot turn the direction of the words around it', async t => {
    const bad = '\u202egnihton'
    const { url } = await startStatusServer(t, () => ({
      ...full,
      pools: [{ ...pool, pause: { ...wish, by: bad, why: bad } }],
    }))
    const { page } = await openPage(browser, url)
    await page.locator('.notice').waitFor()
    t.strictSame(await page.locator('.notice bdi').allTextContents(), [bad, bad])
    await page.context().close()
  })

  await t.test('however long, makes no page wider than a phone', async t => {
    const long = (index: number) => poison(full, () => 'W'.repeat(300 + index), new Map()) as typeof full
    const { url } = await startStatusServer(t, () => long(1))
    const { page } = await openPage(browser, url, { viewport: { width: 320, height: 640 } })
    await page.locator('main section').nth(1).waitFor()
    t.equal(await page.evaluate<number>('document.documentElement.scrollWidth'), 320)
    await page.context().close()
  })

  await t.test('comes the real way, too: what people write into control.json', async t => {
    const why = '<img src=x onerror=alert(1)>'
    const until = new Date(world.clock.wallMs() + 600_000).toISOString()
    await world.gitlab.handle({
      method: 'POST',
      path: '/api/v4/projects/101/repository/commits',
      headers: { 'content-type': 'application/json', 'private-token': 'glpat-b' },
      body: JSON.stringify({
        branch: 'main',
        commit_message: 'pause',
        actions: [
          {
            action: 'create',
            file_path: 'control.json',
            content: JSON.stringify({ schema: 1, pools: { [MAIN_TAG]: { pause: { until, by: '<b>ann</b>', why } } } }),
          },
        ],
      }),
    })
    await world.clock.advance(30_000)
    const { url } = await startStatusServer(t, () => world.clusters['b']?.decider?.status() ?? honest)
    const { page, complaints } = await openPage(browser, url)
    await page.locator('.notice').waitFor()
    t.match(await page.locator('.notice').innerText(), `by <b>ann</b> until`)
    t.match(await page.locator('.notice').innerText(), why)
    t.match(await page.locator('.why').innerText(), why)
    t.strictSame(complaints, [])
    await page.context().close()
  })
})

/** Lone surrogates become U+FFFD on their way out of the browser. */
function wire(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8')
}
