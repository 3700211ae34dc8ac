import axe from 'axe-core'
import type { Page } from 'playwright-core'
import t from 'tap'
import type { StatusReport } from '../../decider/app.ts'
import { openBrowser, openPage } from '../support/browser.ts'
import { startStatusServer } from '../support/status-page.ts'
import { createWorld } from '../support/world.ts'

/** What axe finds, as lines; empty: nothing. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source)
  const { violations } = await page.evaluate<axe.AxeResults>('axe.run()')
  return violations.flatMap(({ id, nodes }) => nodes.map(node => `${id}: ${node.html} ${node.failureSummary ?? ''}`))
}

t.test('the status page for everybody', async t => {
  const browser = await openBrowser(t)
  if (!browser) return

  const world = createWorld({ clusters: [{ name: 'a', tagged: true, priority: 2 }, { name: 'b' }] })
  for (const cluster of Object.values(world.clusters)) cluster.start()
  await world.clock.advance(120_000)
  const status = (): StatusReport => {
    const found = world.clusters['b']?.decider?.status()
    if (!found) throw new Error('the decider of b does not run')
    return found
  }
  const well = status()
  world.clusters['a']?.die()
  await world.clock.advance(300_000)
  const weak = status()
  const [pool] = weak.pools
  if (!pool) throw new Error('the decider of b has not decided')
  const wish = { until: new Date(world.clock.wallMs() + 3_600_000).toISOString(), by: 'ann', why: 'upgrade' }
  const bad: StatusReport = {
    ...weak,
    pools: [
      { ...pool, pause: wish, pin: { ...wish, to: 'b', force: true, refused: 'it is dead' } },
      {
        ...pool,
        pool: 'other',
        verdict: 'nobody',
        holders: [],
        problems: [{ level: 'critical', text: 'No runner carries it.' }],
        timeline: [...pool.timeline, { at: pool.at, holders: [] }, { at: pool.at, holders: null }],
      },
    ],
  }
  const situations: [string, StatusReport][] = [
    ['all is well', well],
    ['nobody serves, several pools', bad],
  ]

  for (const colorScheme of ['light', 'dark'] as const) {
    for (const [name, report] of situations) {
      await t.test(
        `${colorScheme}, ${name}: names, roles and contrast are right, and nothing is wider than a phone`,
        async t => {
          const server = await startStatusServer(t, () => report)
          const { page, complaints } = await openPage(browser, server.url, { colorScheme, reducedMotion: 'reduce' })
          for (const width of [1280, 700, 320]) {
            await page.setViewportSize({ width, height: 700 })
            await page.locator('main section').first().waitFor()
            if (width !== 700) t.strictSame(await violations(page), [], `${width} px`)
            t.equal(await page.evaluate<number>('document.documentElement.scrollWidth'), width, `${width} px`)
          }
          t.strictSame(complaints, [])
          await server.stop()
          await page.clock.runFor(5000)
          await page.locator('#lost').waitFor()
          t.strictSame(await violations(page), [], 'and when the decider is gone')
          await page.context().close()
        },
      )
    }
  }

  await t.test('a screen reader finds landmarks, headings, and tables with headers at any width', async t => {
    const { url } = await startStatusServer(t, () => weak)
    for (const width of [1280, 320]) {
      const { page } = await openPage(browser, url, { viewport: { width, height: 700 } })
      await page.locator('main section').waitFor()
      t.equal(await page.getByRole('banner').count(), 1)
      t.equal(await page.getByRole('main').count(), 1)
      t.equal(await page.getByRole('contentinfo').count(), 1)
      t.equal(await page.getByRole('region', { name: 'rnd-runner is served by cluster b' }).count(), 1)
      t.equal(await page.getByRole('heading', { level: 1 }).count(), 1)
      const clusters = page.getByRole('table', { name: 'Clusters' })
      t.equal(await clusters.getByRole('columnheader').count(), 7, `${width} px`)
      t.equal(await clusters.getByRole('rowheader').count(), 2)
      t.equal(await clusters.getByRole('cell').count(), 12)
      t.equal(await page.getByRole('img', { name: /^Who held rnd-runner in the last/ }).count(), 1)
      t.equal(await page.getByRole('list', { name: 'Problems' }).count(), 1)
      const tree = await page.locator('main section').ariaSnapshot()
      t.match(tree, /columnheader "Heartbeat"[^]*rowheader "a runner-a"[^]*cell "dead silent for too long"/)
      t.notMatch(tree, /Main tagno/, 'labels of cards are not read on top of the headers')
      t.equal(await page.locator('[aria-live]').count(), 1, 'one thing alone is said aloud')
      await page.context().close()
    }
  })

  await t.test('the keyboard reaches everything, in the order in which it is read', async t => {
    const { url } = await startStatusServer(t, () => bad)
    const { page } = await openPage(browser, url)
    await page.locator('main section').nth(1).waitFor()
    const stops: string[] = []
    for (let press = 0; press < 7; press++) {
      await page.keyboard.press('Tab')
      stops.push(await page.locator(':focus').innerText())
    }
    t.match(stops, [
      'Skip to who serves',
      /▲ rnd-runner b/,
      /✕ rnd-runner Nobody serves/,
      /changes? as a list/,
      /changes? as a list/,
      'status',
      'every decision',
    ])
    t.equal(await page.evaluate<string>('getComputedStyle(document.activeElement).outlineStyle'), 'solid')

    await page.reload()
    await page.locator('main section').nth(1).waitFor()
    await page.keyboard.press('Tab')
    t.ok((await page.locator('.skip').boundingBox())?.x, 'the skip link shows itself')
    await page.keyboard.press('Enter')
    t.equal(await page.locator('main:focus').count(), 1)
    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    t.match(page.url(), /#pool-1$/)
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    t.equal(await page.locator('#pool-1 details[open]').count(), 1, 'on from the pool that was chosen')
    await page.context().close()
  })

  await t.test('nothing moves for those who want no motion', async t => {
    const { url } = await startStatusServer(t, () => well)
    const moving = async (reducedMotion: 'reduce' | 'no-preference') => {
      const { page } = await openPage(browser, url, { reducedMotion })
      await page.locator('main section').waitFor()
      const durations = await page.evaluate<string[]>(
        "[...document.querySelectorAll('body *')].map(node => getComputedStyle(node).transitionDuration)",
      )
      await page.context().close()
      return durations.some(duration => duration !== '0s')
    }
    t.equal(await moving('reduce'), false)
    t.equal(await moving('no-preference'), true)
  })
})
