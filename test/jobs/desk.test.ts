import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { createJobDesk, type DeskOptions } from '../../decider/jobs/desk.ts'
import type { JobMetrics } from '../../decider/jobs/document.ts'
import { createJobsMetrics } from '../../decider/jobs/metrics.ts'
import type { JobStore } from '../../decider/jobs/store.ts'
import type { StartedPod } from '../../decider/jobs/watch.ts'
import type { RangeResult } from '../../lib/prometheus/answer.ts'
import { silentLog } from '../../lib/service/log.ts'
import { createManualClock } from '../support/manual-clock.ts'

const SCRAPE_MS = 30_000
const QUERIES = ['cpu', 'broken'].map(name => ({ name, query: `${name}{{selector}}`, unit: '', integrate: false }))
const DOWN: RangeResult = { kind: 'unavailable', message: 'no connection' }

/** The desk with everything around it in memory, on a clock that the test moves. */
function createScene(t: Test, more: Partial<Pick<DeskOptions, 'publish' | 'publishes'>> = {}) {
  const clock = createManualClock()
  const kept: JobMetrics[] = []
  const asked: { query: string; endMs: number }[] = []
  const prometheus = { answer: undefined as RangeResult | undefined, takesMs: 0, running: 0, most: 0 }
  const store: Pick<JobStore, 'has' | 'put'> = {
    has: (jobId, uid) => kept.some(({ job, pod }) => job.id === jobId && pod.uid === uid),
    put: metrics => {
      kept.push(metrics)
      return Promise.resolve(true)
    },
  }
  const registry = new Registry()
  const desk = createJobDesk({
    cluster: 'a',
    prometheus: {
      instant: () => Promise.resolve({ kind: 'empty' }),
      range: async (query, { startMs, endMs, stepMs }, signal) => {
        asked.push({ query, endMs })
        prometheus.most = Math.max(prometheus.most, ++prometheus.running)
        await clock.sleep(prometheus.takesMs, signal).finally(() => prometheus.running--)
        if (prometheus.answer) return prometheus.answer
        if (query.startsWith('broken')) return { kind: 'bad_query', message: 'parse error', status: 400 }
        const points = [startMs, startMs + stepMs].map(timestampMs => ({ timestampMs, value: 1, raw: '1' }))
        return { kind: 'complete', series: [{ labels: { container: 'build' }, points }] }
      },
    },
    queries: QUERIES,
    scrapeMs: SCRAPE_MS,
    store: store as JobStore,
    metrics: createJobsMetrics(registry, ['cpu', 'broken']),
    publishes: () => true,
    clock,
    random: () => 0.5,
    log: silentLog,
    ...more,
  })
  t.teardown(() => desk.stop())
  const count = async (name: string, label: string) => {
    const metric = await registry.getSingleMetric(`gitlab_runner_hadr_decider_job_metrics_${name}`)?.get()
    return metric?.values.find(({ labels }) => Object.values(labels).includes(label))?.value
  }
  return { clock, desk, kept, asked, prometheus, count }
}

function podOf(jobId: number, startedMs: number): StartedPod {
  return {
    job: { id: jobId, projectId: 1, name: null, ref: null, sha: null, url: null },
    pod: { namespace: 'ci', name: `pod-${jobId}`, uid: `uid-${jobId}`, node: null },
    containers: [],
    startedMs,
    finishedMs: undefined,
    ended: true,
  }
}

t.test(
  'a job is collected one scrape after its end, until its end; a bad query is told and hurts no other',
  async t => {
    const { clock, desk, kept, asked, count } = createScene(t)
    const endMs = clock.wallMs() + 60_000
    await clock.advance(60_000)
    desk.ended(podOf(1, endMs - 60_000), endMs)
    t.match(desk.waiting(1), { endMs })
    await clock.advance(SCRAPE_MS)
    t.equal(asked.length, 0, 'the last samples are not in yet')
    await clock.advance(5_000)
    t.strictSame(
      asked.map(each => [each.query, each.endMs]),
      [
        ['cpu{namespace="ci",pod="pod-1"}', endMs],
        ['broken{namespace="ci",pod="pod-1"}', endMs],
      ],
    )
    t.match(kept, [{ partial: false, queries: [{ outcome: 'complete' }, { outcome: 'failed' }] }])
    t.match(kept[0]?.warnings, [/^broken: the query is refused: parse error/])
    t.match(desk.troubles(), [{ query: 'broken', message: 'is refused: parse error' }])
    t.equal(await count('query_failures_total', 'broken'), 1)
    t.equal(desk.queueLength, 0)

    desk.ended(podOf(1, endMs - 60_000), endMs)
    t.equal(desk.queueLength, 0, 'what is kept is not collected again')
  },
)

t.test('when Prometheus is down a job is tried again, and given up and counted after four times', async t => {
  const { clock, desk, kept, prometheus, asked, count } = createScene(t)
  prometheus.answer = DOWN
  desk.ended(podOf(1, clock.wallMs() - 120_000), clock.wallMs() - 60_000)
  desk.ended(podOf(2, clock.wallMs() - 120_000), clock.wallMs() - 60_000)
  await clock.advance(40_000)
  t.equal(asked.length, 8, 'two jobs, two queries, twice')
  prometheus.answer = undefined
  await clock.advance(60_000)
  t.equal(kept.length, 2)

  prometheus.answer = DOWN
  desk.ended(podOf(3, clock.wallMs() - 120_000), clock.wallMs() - 60_000)
  await clock.advance(600_000)
  t.equal(kept.length, 2)
  t.strictSame([await count('jobs_total', 'failed'), await count('jobs_total', 'collected')], [1, 2])
  t.equal(desk.waiting(3), undefined)
})

t.test('of many jobs four are collected at once, and of more than a thousand the oldest are dropped', async t => {
  const { clock, desk, kept, prometheus, count } = createScene(t)
  prometheus.takesMs = 10
  for (let id = 1; id <= 1100; id++) desk.ended(podOf(id, clock.wallMs() - 60_000), clock.wallMs())
  t.equal(await count('jobs_total', 'dropped'), 100)
  t.equal(desk.queueLength, 1000)
  await clock.advance(35_000 + 6_000)
  t.equal(kept.length, 1000)
  t.equal(prometheus.most, 4)
})

t.test('a job that runs gets what there is, marked as partial, without asking twice at once', async t => {
  const { clock, desk, kept, asked, prometheus } = createScene(t)
  prometheus.takesMs = 100
  const pod = podOf(1, clock.wallMs() - 60_000)
  const answers = Promise.all([desk.live(pod, clock.wallMs()), desk.live(pod, clock.wallMs())])
  await clock.advance(1000)
  t.match(await answers, [{ kind: 'metrics', metrics: { partial: true } }, { kind: 'metrics' }])
  t.equal(asked.length, 2)
  await desk.live(pod, clock.wallMs())
  t.equal(asked.length, 2, 'there are no new samples yet')
  await clock.advance(5_000)
  void desk.live(pod, clock.wallMs())
  await clock.advance(1000)
  t.equal(asked.length, 4)
  t.equal(kept.length, 0)
})

t.test('a Prometheus that hangs makes a live request busy in time, and takes no more than its bound', async t => {
  const { clock, desk, prometheus } = createScene(t)
  prometheus.takesMs = 10_000_000
  const answers = Array.from({ length: 20 }, (_, id) =>
    desk.live(podOf(id + 1, clock.wallMs() - 60_000), clock.wallMs()),
  )
  t.strictSame(await answers[19], { kind: 'busy' }, 'more than sixteen do not wait at all')
  await clock.advance(15_000)
  t.strictSame(await answers[0], { kind: 'busy' })
})

t.test('only one replica publishes, and a failed upload is tried again', async t => {
  let fails = 1
  const published: number[] = []
  const publish = (metrics: JobMetrics) => {
    if (fails-- > 0) return Promise.reject(new Error('502'))
    published.push(metrics.job.id)
    return Promise.resolve()
  }
  const { clock, desk, count } = createScene(t, { publish })
  desk.ended(podOf(1, clock.wallMs() - 120_000), clock.wallMs() - 60_000)
  await clock.advance(1000)
  t.strictSame(published, [])
  await clock.advance(60_000)
  t.strictSame(published, [1])
  t.equal(await count('packages_total', 'stored'), 1)

  const standby = createScene(t, { publish, publishes: () => false })
  standby.desk.ended(podOf(2, standby.clock.wallMs() - 120_000), standby.clock.wallMs() - 60_000)
  await standby.clock.advance(60_000)
  t.strictSame([standby.kept.length, published], [1, [1]])
})
