import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import type { StatusReport } from '../../decider/app.ts'
import { openBrowser, openPage } from '../support/browser.ts'
import { type StatusServer, startStatusServer } from '../support/status-page.ts'
import { type World, createWorld } from '../support/world.ts'

const PAIR = [{ name: 'a', tagged: true, priority: 2 }, { name: 'b' }]

function statusOf(world: World, cluster: string): StatusReport {
  const status = world.clusters[cluster]?.decider?.status()
  if (!status) throw new Error(`the decider of ${cluster} does not run`)
  return status
}

async function running(): Promise<World> {
  const world = createWorld({ clusters: PAIR })
  for (const cluster of Object.values(world.clusters)) cluster.start()
  await world.clock.advance(120_000)
  return world
}

/** The page's next question, whose answer is drawn when this resolves. */
async function refreshed(page: Page): Promise<void> {
  const answer = page.waitForResponse(response => response.url().endsWith('/status'))
  await page.clock.runFor(5000)
  await (await answer).finished()
}

const text = (page: Page, selector: string) => page.locator(selector).innerText()

async function serve(t: Test, world: World): Promise<StatusServer> {
  return startStatusServer(t, () => statusOf(world, 'b'))
}

t.test('the status page in a real browser', async t => {
  const browser = await openBrowser(t)
  if (!browser) return

  await t.test('says who serves, why, and how strong each cluster is', async t => {
    const world = await running()
    const { url } = await serve(t, world)
    const { page, complaints } = await openPage(browser, url)
    await page.getByRole('heading', { name: 'rnd-runner is served by' }).waitFor()
    t.equal(await text(page, '.who'), 'cluster a')
    t.equal(await text(page, '.verdict'), '✓ All is well')
    t.match(await text(page, '.why'), statusOf(world, 'b').pools[0]?.explain)
    t.match(await page.title(), '✓ Cluster a serves rnd-runner.')
    t.match(await text(page, 'header'), 'as cluster b sees it · b-1 · test')

    const clusters = page.getByRole('table', { name: 'Clusters' })
    const row = (name: string) => clusters.getByRole('row').filter({ has: page.getByRole('rowheader', { name }) })
    t.match(
      await row('a runner-a').innerText(),
      /● serves\s+2 of 2 runners[^]*2 of 2 pods available\s+epoch 1\s+active/,
    )
    t.match(await row('a runner-a').innerText(), /\d+ s ago\s+alive\s+proven\s+ACTIVE/)
    t.match(await row('b runner-b').innerText(), /no\s+0 of 2 runners[^]*own\s+alive\s+this decider\s+STANDBY/)
    t.equal(await page.getByRole('table', { name: 'Decisions' }).getByRole('row').count(), 2)
    t.strictSame(complaints, [])
    await page.context().close()
  })

  await t.test('follows a fail-over by itself, says it aloud once, and keeps focus and place', async t => {
    const world = await running()
    const { url } = await serve(t, world)
    const { page, complaints } = await openPage(browser, url, { viewport: { width: 800, height: 300 } })
    await page.getByText('cluster a', { exact: true }).waitFor()
    await page.locator('summary').focus()
    await page.keyboard.press('Enter')
    await page.evaluate("document.querySelector('summary').scrollIntoView()")
    const place = async () => Math.round((await page.locator('summary').boundingBox())?.y ?? Number.NaN)
    const before = await place()
    await refreshed(page)
    t.equal(await text(page, '#news'), '', 'nothing changed, nothing is said')

    world.clusters['a']?.die()
    await world.until(() => world.holders().join() === 'b', 200_000)
    await world.clock.advance(20_000)
    await refreshed(page)
    await page.getByText('cluster b', { exact: true }).waitFor()
    t.equal(await text(page, '.who'), 'cluster b')
    t.equal(await text(page, '#news'), 'Cluster b serves rnd-runner.')
    t.equal(await page.locator('#news').getAttribute('aria-live'), 'polite')
    t.match(await text(page, '.problems'), '▲ Warning: No other cluster could take over now (a: silent).')
    t.match(await text(page, '.verdict'), '▲ 1 problem')
    t.match(await page.title(), '▲ Cluster b serves rnd-runner.')
    t.match(
      await text(page, '.decisions'),
      /PROMOTING\s+Nobody serves the main tag and this cluster can\.[^]*add runners \d+, \d+: done/,
    )
    t.match(await text(page, '.decisions'), /fence runners \d+, \d+: done/)
    t.equal(await page.locator('summary:focus').count(), 1, 'the focus stays')
    t.equal(await page.locator('details[open]').count(), 1, 'what was opened stays open')
    t.equal(await place(), before, 'what is read stays where it is')
    t.match(await text(page, 'details'), /b\s+\d+ s[^]*a\s+\d+/)
    t.equal((await page.locator('.lanes rect.fill').count()) >= 2, true)
    t.strictSame(complaints, [])
    await page.context().close()
  })

  await t.test('says when the decider does not answer, labels what it shows as old, and recovers', async t => {
    const world = await running()
    const server = await serve(t, world)
    const { page } = await openPage(browser, server.url)
    await page.getByText('cluster a', { exact: true }).waitFor()
    await server.stop()
    await page.clock.runFor(5000)
    await page.locator('#lost').waitFor()
    t.match(
      await text(page, '#lost'),
      /The decider does not answer \(no connection\)\. What follows is what it said \d+ s ago/,
    )
    t.match(await text(page, 'h2'), 'was served, when last heard of, by')
    t.match(await text(page, '.verdict'), 'when last heard of')
    t.equal(await page.locator('body.stale').count(), 1)
    t.match(await page.title(), /^\?/)
    await page.clock.runFor(120_000)
    t.match(await text(page, '#lost'), /what it said (1\d\d s|\d+ min) ago/)
    t.match(await text(page, '#updated'), /Last updated (1\d\d s|\d+ min) ago/)

    await server.start()
    await refreshed(page)
    await page.locator('#lost').waitFor({ state: 'hidden' })
    t.match(await text(page, 'h2'), 'is served by')
    t.equal(await page.locator('body.stale').count(), 0)
    t.equal(await text(page, '#news'), '', 'a gap is no change of holders')
    await page.context().close()
  })

  await t.test('an answer that is an error, no JSON, of another version or never comes is told as such', async t => {
    const world = await running()
    const { url } = await serve(t, world)
    const { page } = await openPage(browser, url)
    await page.getByText('cluster a', { exact: true }).waitFor()
    const cases: [string, RegExp, () => Promise<unknown>][] = [
      ['an error', /HTTP 503/, () => page.route('**/status', route => route.fulfill({ status: 503 }))],
      ['no JSON', /not JSON/, () => page.route('**/status', route => route.fulfill({ body: '<html>' }))],
      [
        'a later version',
        /another version/,
        () => page.route('**/status', route => route.fulfill({ json: { schema: 2 } })),
      ],
      ['a part missing', /cannot show/, () => page.route('**/status', route => route.fulfill({ json: { schema: 1 } }))],
    ]
    for (const [name, why, prepare] of cases) {
      await prepare()
      await page.clock.runFor(5000)
      await page.locator('#lost').filter({ hasText: why }).waitFor()
      t.pass(name)
      await page.unroute('**/status')
    }
    await page.route('**/status', () => undefined)
    await page.clock.runFor(5000)
    await page.clock.runFor(4000)
    await page.locator('#lost').filter({ hasText: 'nothing within 4 s' }).waitFor()
    await page.unroute('**/status')
    await refreshed(page)
    await page.locator('#lost').waitFor({ state: 'hidden' })
    await page.context().close()
  })

  await t.test('asks nothing while it is hidden, and at once when it is seen again', async t => {
    const world = await running()
    const { url } = await serve(t, world)
    const { page, complaints } = await openPage(browser, url)
    await page.getByText('cluster a', { exact: true }).waitFor()
    let asked = 0
    page.on('request', () => asked++)
    const show = (hidden: boolean) =>
      page.evaluate(
        `Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true });
         document.dispatchEvent(new Event('visibilitychange'))`,
      )
    await show(true)
    await page.clock.runFor(60_000)
    t.equal(asked, 0)
    const answer = page.waitForResponse(/status$/)
    await show(false)
    await answer
    t.equal(asked, 1)
    t.strictSame(complaints, [])
    await page.context().close()
  })

  await t.test(
    'behind a Service with two replicas it finds the one that leads, and says when only the other one answers',
    async t => {
      const world = await running()
      const leading = () => statusOf(world, 'b')
      const standing = (): StatusReport => ({ ...leading(), role: 'standby', leader: 'hadr-decider-1', pools: [] })
      let answers = [standing, standing, leading]
      const { url } = await startStatusServer(
        t,
        () => (answers.length > 1 ? answers.shift() : answers[0])?.() ?? leading(),
      )
      const { page, complaints } = await openPage(browser, url)
      await page.getByText('cluster a', { exact: true }).waitFor()
      t.equal(answers.length, 1)

      answers = [standing]
      await page.clock.runFor(5000)
      await page.locator('#lost').filter({ hasText: 'only a replica that stands by does' }).waitFor()
      t.match(await text(page, '.who'), 'cluster a', 'what the leader said stays')
      await page.reload()
      await page
        .getByText('stands by, so it has nothing to show. The leader is hadr-decider-1: open its page.')
        .waitFor()
      answers = [leading]
      await refreshed(page)
      await page.getByText('cluster a', { exact: true }).waitFor()
      t.strictSame(complaints, [])
      await page.context().close()
    },
  )

  await t.test('a decider that has not looked yet, and nobody serving, are said in so many words', async t => {
    const world = createWorld({ clusters: [{ name: 'a' }, { name: 'b' }] })
    world.clusters['b']?.start()
    const { url } = await serve(t, world)
    const { page, complaints } = await openPage(browser, url)
    await page.getByText('has just started and has not looked yet').waitFor()
    await world.clock.advance(5000)
    await refreshed(page)
    await page.locator('.who.nobody').waitFor()
    t.equal(await text(page, '.verdict'), '✕ Nobody serves')
    t.match(await text(page, '.problems'), 'Critical: No runner carries rnd-runner')
    t.match(await page.title(), '✕ Nobody serves rnd-runner.')
    t.strictSame(complaints, [])
    await page.context().close()
  })
})
