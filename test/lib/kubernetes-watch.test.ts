import t, { type Test } from 'tap'
import { startWatch, WATCH_TIMING, type Watch } from '../../lib/kubernetes/watch.ts'
import { silentLog } from '../../lib/service/log.ts'
import { systemClock } from '../../lib/service/clock.ts'
import type { SimulatedKubernetes } from '../../simulator/kubernetes/server.ts'
import { open, startApi } from '../support/kubernetes.ts'
import { createRandom } from '../support/random.ts'

const FAST = { ...WATCH_TIMING, silenceMs: 300, minBackoffMs: 20, maxBackoffMs: 200 }

function putPod(api: SimulatedKubernetes, name: string, labels: Record<string, string> = { l: 'yes' }): void {
  api.state.put('pods', { metadata: { name, namespace: 'default', labels } })
}

async function watchPods(t: Test, api: SimulatedKubernetes, timing = FAST) {
  const { connection } = await open(t, api, { callDeadlineMs: 500 })
  const seen: string[][] = []
  const waiting: { wanted: string; found: () => void }[] = []
  const latest = () => seen.at(-1)?.join()
  const watch: Watch = startWatch({
    connection,
    path: '/api/v1/namespaces/default/pods',
    subject: 'pods default',
    labelSelector: 'l=yes',
    clock: systemClock,
    random: createRandom(1),
    log: silentLog,
    timing,
    onObjects: objects => {
      seen.push(objects.map(({ metadata }) => metadata.name).sort())
      for (const { wanted, found } of waiting) if (wanted === latest()) found()
    },
  })
  t.teardown(() => watch.stop())
  /** Resolves once exactly these pods are in view. */
  const shows = (...names: string[]) =>
    new Promise<void>(resolve => {
      const wanted = names.join()
      if (latest() === wanted) resolve()
      else waiting.push({ wanted, found: resolve })
    })
  const requests = (verb: string) => api.state.requests.filter(request => request.verb === verb).length
  return { watch, seen, shows, requests }
}

void t.test('a watch shows what there is and every change of it', async t => {
  const api = await startApi(t)
  putPod(api, 'a')
  putPod(api, 'other', { l: 'no' })
  const { shows, requests } = await watchPods(t, api)
  await shows('a')
  putPod(api, 'b')
  await shows('a', 'b')
  putPod(api, 'a', { l: 'no' })
  await shows('b')
  api.state.remove('pods', 'default', 'b')
  await shows()
  t.equal(requests('list'), 1)
})

void t.test('errors of any kind do not end it', async t => {
  const api = await startApi(t)
  const { shows } = await watchPods(t, api)
  await shows()
  api.faults.add({ fault: { kind: 'status', status: 500 }, count: 3 })
  api.faults.add({ fault: { kind: 'reset' }, count: 2 })
  api.faults.add({ fault: { kind: 'status', status: 200, body: 'no JSON\n' }, count: 1 })
  await api.stop()
  putPod(api, 'while-down')
  await api.start()
  await shows('while-down')
  t.pass('the change that was missed arrives')
})

void t.test('a version that is too old leads to a new list', async t => {
  const api = await startApi(t)
  const { shows, requests } = await watchPods(t, api)
  await shows()
  await api.stop()
  putPod(api, 'a')
  api.state.forgetHistory()
  await api.start()
  await shows('a')
  t.equal(requests('list'), 2)
})

void t.test('a watch that went deaf is noticed by its silence and goes on without a new list', async t => {
  const api = await startApi(t)
  const { shows, requests } = await watchPods(t, api)
  await shows()
  api.state.freezeWatches(true)
  putPod(api, 'unheard')
  await new Promise(resolve => setTimeout(resolve, 100))
  api.state.freezeWatches(false)
  await shows('unheard')
  t.equal(requests('list'), 1)
  t.ok(requests('watch') >= 2)
})

void t.test('a server that ends watches at once is not asked in a tight circle', async t => {
  const api = await startApi(t)
  api.faults.add({ fault: { kind: 'status', status: 200, body: '' }, verb: 'watch' })
  const { shows, requests } = await watchPods(t, api, { ...FAST, minBackoffMs: 50 })
  await shows()
  await new Promise(resolve => setTimeout(resolve, 600))
  t.ok(requests('watch') <= 8, `${requests('watch')} watches in 600 ms`)
})

void t.test('stopping ends it at once, also while it waits', async t => {
  const api = await startApi(t)
  const { watch, shows } = await watchPods(t, api)
  await shows()
  t.ok((watch.silentForMs() ?? -1) >= 0)
  await watch.stop()
  await api.stop()
  const second = await watchPods(t, api)
  await second.watch.stop()
  t.equal(second.watch.silentForMs(), undefined)
})
