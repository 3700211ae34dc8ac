import t, { type Test } from 'tap'
import { deciderConfigSchema } from '../../decider/config.ts'
import { capacityQuery } from '../../decider/observe/capacity.ts'
import { createNodeTransport } from '../../lib/http/node-transport.ts'
import type { InstantResult } from '../../lib/prometheus/answer.ts'
import { createPrometheusClient } from '../../lib/prometheus/client.ts'
import { systemClock } from '../../lib/service/clock.ts'
import { startPrometheusEndpoint, type ScrapeTarget } from '../../simulator/prometheus/endpoint.ts'
import { readExposition } from '../../simulator/prometheus/exposition.ts'
import { startServer } from '../support/http.ts'
import { requirePrometheus, startPrometheus } from '../support/prometheus.ts'

const clock = systemClock
const JOB = 'ci/gitlab-runner-hadr'

const QUERY = capacityQuery(deciderConfigSchema.properties.prometheus.properties.job.default)

const exposition = (pod: string, available: string) => `# TYPE gitlab_runner_hadr_sidecar_available gauge
gitlab_runner_hadr_sidecar_available{group_id="33",pod_name="${pod}",odd="a\\"},\\n"} ${available}
gitlab_runner_hadr_sidecar_runner_info{pod_name="${pod}",runner_id="7",system_id="r_1"} 1
gitlab_runner_hadr_sidecar_runner_info{pod_name="${pod}",runner_id="8",system_id="r_1"} 1
port_used{pod_name="${pod}"} 12
`

function createClient(t: Test, url: string) {
  const transport = createNodeTransport()
  t.teardown(() => transport.close())
  return createPrometheusClient({ url, transport, clock })
}

async function startEndpoint(t: Test, targets: () => readonly ScrapeTarget[], scrapeIntervalMs = 50) {
  const transport = createNodeTransport()
  const endpoint = await startPrometheusEndpoint({ clock, transport, targets, scrapeIntervalMs })
  t.teardown(async () => {
    await endpoint.close()
    transport.close()
  })
  const client = createClient(t, endpoint.url)
  const until = async (condition: (samples: ReturnType<typeof described>) => boolean) => {
    let samples = described(await client.instant(QUERY))
    while (!condition(samples)) samples = described(await client.instant(QUERY))
    return samples
  }
  return { client, until }
}

/** Every sample in one line, without what differs from run to run. */
function described(result: InstantResult): string[] {
  if (result.kind !== 'complete') return []
  return result.samples
    .map(({ labels, value, raw }) => {
      const time = labels['hadr_kind']?.endsWith('_at') && value !== undefined
      const pairs = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))
      return `${JSON.stringify(pairs)} ${time ? 'time' : raw}`
    })
    .sort()
}

t.test('it answers as a real Prometheus with the same targets does', async t => {
  if (!(await requirePrometheus(t))) return
  const good = await startServer(t, (_request, response) => response.end(exposition('pod-1', '1')))
  const odd = await startServer(t, (_request, response) => response.end(exposition('pod-2', 'Nan')))
  const failing = await startServer(t, (_request, response) => response.writeHead(503).end(exposition('pod-3', '1')))
  const broken = await startServer(t, (_request, response) => response.end(`${exposition('pod-4', '1')}no metrics\n`))
  const urls = [good, odd, failing, broken, 'http://127.0.0.1:1']
  const other = await startServer(t, (_request, response) => response.end(exposition('pod-5', '0')))

  const { until } = await startEndpoint(t, () => [
    ...urls.map(url => ({ job: JOB, url: `${url}/metrics` })),
    { job: 'other', url: `${other}/metrics` },
  ])
  // Under load a scrape may miss its deadline, which is an interval.
  const simulated = await until(samples => samples.length === 28)

  const hosts = (list: string[]) => [{ targets: list.map(url => new URL(url).host) }]
  const prometheus = await startPrometheus(t, {
    scrapeIntervalMs: 100,
    scrapeConfigs: [
      { job_name: JOB, static_configs: hosts(urls) },
      { job_name: 'other', static_configs: hosts([other]) },
    ],
  })
  const client = createClient(t, prometheus.url)
  let real = described(await client.instant(QUERY))
  while (real.length < simulated.length) {
    await clock.sleep(50)
    real = described(await client.instant(QUERY))
  }
  t.strictSame(simulated, real)
})

t.test("a target's series vanish with its first failed scrape, and come back with the next good one", async t => {
  let dead = false
  const url = await startServer(t, (_request, response) => {
    if (dead) response.destroy()
    else response.end(exposition('pod-1', '1'))
  })
  const { client, until } = await startEndpoint(t, () => [{ job: 'gitlab-runner-hadr', url }])
  t.equal((await until(samples => samples.length > 2)).length, 8)
  dead = true
  await until(samples => samples.length === 2)
  t.match(await client.instant(QUERY), {
    samples: [{ labels: { hadr_kind: 'up' }, value: 0 }, { labels: { hadr_kind: 'up_at' } }],
  })
  dead = false
  await until(samples => samples.length === 8)
})

t.test('the age of a sample is the time since its scrape', async t => {
  const url = await startServer(t, (_request, response) => response.end(exposition('pod-1', '1')))
  const { client, until } = await startEndpoint(t, () => [{ job: JOB, url }], 1_000)
  await until(samples => samples.length === 8)
  const result = await client.instant(QUERY)
  const [evaluatedAtMs, samples] = result.kind === 'complete' ? [result.evaluatedAtMs, result.samples] : [0, []]
  const seconds = samples.find(({ labels }) => labels['hadr_kind'] === 'available_at')?.value ?? 0
  const ageMs = evaluatedAtMs - seconds * 1000
  t.ok(ageMs >= 0 && ageMs < 2_000, `${ageMs} ms`)
})

t.test('a target that is not listed any more is forgotten, and without targets the answer is empty', async t => {
  const url = await startServer(t, (_request, response) => response.end(exposition('pod-1', '1')))
  const targets: ScrapeTarget[] = [{ job: JOB, url }]
  const { client, until } = await startEndpoint(t, () => targets)
  await until(samples => samples.length === 8)
  targets.pop()
  await until(samples => samples.length === 0)
  t.match(await client.instant(QUERY), { kind: 'empty' })
})

t.test('every other query is refused, so that nobody takes silence for an answer', async t => {
  const { client } = await startEndpoint(t, () => [])
  const longer = `${QUERY} or vector(0)`
  const shorter = QUERY.slice(0, QUERY.lastIndexOf(' or '))
  for (const query of ['up', '', longer, shorter, QUERY.replace('"info"', '"inform"')]) {
    t.match(await client.instant(query), { kind: 'bad_query', status: 422 }, query.slice(-30))
  }
})

t.test('the exposition format is read with all it allows', t => {
  const text =
    '# HELP x y\n\n  a 1\nb{} -2.5e3 1700000000000\nc{x="}\\\\", y = "\\n\\"", } +Inf\nd -Inf\r\ne{a="b"}NaN\n'
  t.throws(() => readExposition(text), /e\{a="b"\}NaN/)
  t.strictSame(readExposition(text.slice(0, text.indexOf('e{'))), [
    { name: 'a', labels: {}, value: 1 },
    { name: 'b', labels: {}, value: -2500 },
    { name: 'c', labels: { x: '}\\', y: '\n"' }, value: Infinity },
    { name: 'd', labels: {}, value: -Infinity },
  ])
  for (const line of ['a', 'a b', '1 1', 'a{x=1} 1', 'a{x="1" 1']) t.throws(() => readExposition(line), line)
  t.end()
})
