import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { CA_SECRET, WEBHOOK_CONFIGURATION } from '../../certs/names.ts'
import { poolReport } from '../../cli/demo/reports.ts'
import { createStage, type Stage } from '../../cli/demo/stage.ts'
import { createJobsMetrics } from '../../decider/jobs/metrics.ts'
import { systemClock } from '../../lib/service/clock.ts'
import { silentLog } from '../../lib/service/log.ts'
import { panelQueries, substitute, variableQueries } from '../support/dashboards.ts'
import { startServer } from '../support/http.ts'
import { startApi } from '../support/kubernetes.ts'
import { startPrometheusProcess } from '../../simulator/prometheus/process.ts'
import { requirePrometheus } from '../support/prometheus.ts'
import { RULES_FILE, alertRules } from '../support/rules.ts'
import { until } from '../support/until.ts'
import { call } from '../support/webhook.ts'
import { createFolder, SIDECAR, startWebhookProgram } from '../support/webhook-program.ts'
import { buildPrograms } from '../support/programs.ts'

const TIME_SCALE = 0.3
const SERVICE = { namespace: 'gitlab-runner-hadr', name: 'gitlab-runner-hadr-webhook', path: '/mutate' }

interface Vector {
  metric: Record<string, string>
  value: [number, string]
}

/** A webhook with certificates of its own, as it is installed by default. */
async function startWebhook(t: Test) {
  const api = await startApi(t)
  api.state.addNamespace(SERVICE.namespace)
  api.state.put('secrets', { metadata: { namespace: SERVICE.namespace, name: CA_SECRET } })
  const hook = { name: 'inject.gitlab-runner-hadr.io', sideEffects: 'None', admissionReviewVersions: ['v1'] }
  api.state.put('webhookConfigurations', {
    metadata: { name: WEBHOOK_CONFIGURATION },
    webhooks: [{ ...hook, clientConfig: { service: SERVICE } }],
  })
  const kubeconfig = join(createFolder(t, { kubeconfig: api.kubeconfig('test-token') }), 'kubeconfig')
  const program = startWebhookProgram(t, SIDECAR, ['--kubeconfig', kubeconfig])
  await program.ready()
  const [{ clientConfig }] = api.state.get('webhookConfigurations', '', WEBHOOK_CONFIGURATION)?.['webhooks'] as [
    { clientConfig: { caBundle: string } },
  ]
  const port = await program.port()
  const ca = Buffer.from(clientConfig.caBundle, 'base64').toString()
  const review = async (name: string) => {
    const file = `test/recordings/kubernetes/admission-reviews/${name}.json`
    const { bodyText } = JSON.parse(readFileSync(file, 'utf8')) as { bodyText: string }
    await call({ port, ca, servername: `${SERVICE.name}.${SERVICE.namespace}.svc`, body: bodyText })
  }
  return { opsUrl: await program.opsUrl(), review }
}

/** The metrics that a decider has where it keeps those of jobs; at each scrape, one more job was collected. */
async function serveJobsMetrics(t: Test): Promise<string> {
  const registry = new Registry()
  const metrics = createJobsMetrics(registry, ['cpu'])
  metrics.level({ queue: 1, running: 1, jobs: 1, bytes: 1000 })
  return startServer(t, (_request, response) => {
    metrics.job('collected')
    metrics.collectedIn(0.2)
    registry.metrics().then(
      text => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      () => response.destroy(),
    )
  })
}

/** What GitLab's page for a runner does when a person pauses it. */
async function pauseRunner({ gitlab, members }: Stage): Promise<void> {
  const answer = await fetch(`${gitlab.url}/api/v4/runners/${members['a']?.[0] ?? 0}`, {
    method: 'PUT',
    headers: { 'private-token': 'glpat-runners-a', 'content-type': 'application/json' },
    body: JSON.stringify({ paused: true }),
  })
  if (!answer.ok) throw new Error(`the runner was not paused: ${answer.status}`)
}

t.test('every panel shows data of the real programs, and every rule is evaluated', { timeout: 240_000 }, async t => {
  if (!(await requirePrometheus(t))) return
  const folder = t.testdir()
  const programs = join(folder, 'dist')
  await buildPrograms(programs)
  const stage = await createStage({
    timeScale: TIME_SCALE,
    clusters: ['a', 'b'],
    runnersPerCluster: 2,
    realPrometheus: true,
    programs,
    folder: join(folder, 'stage'),
    clock: systemClock,
    random: Math.random,
    log: silentLog,
    signal: new AbortController().signal,
  })
  t.teardown(() => stage.close())
  const [webhook] = await Promise.all([startWebhook(t), ...stage.clusters.map(cluster => cluster.start())])

  const hosts = (urls: readonly string[]) => [{ targets: urls.map(url => new URL(url).host) }]
  const urls = {
    'gitlab-runner-hadr': stage.clusters.flatMap(cluster => cluster.sidecarUrls),
    'gitlab-runner-hadr-decider': [...stage.clusters.map(cluster => cluster.deciderUrl), await serveJobsMetrics(t)],
    'gitlab-runner-hadr-webhook': [webhook.opsUrl],
  }
  const jobs = Object.entries(urls)
  const prometheus = await startPrometheusProcess({
    clock: systemClock,
    folder: join(folder, 'prometheus'),
    scrapeConfigs: jobs.map(([job, own]) => ({ job_name: job, honor_labels: true, static_configs: hosts(own) })),
    scrapeIntervalMs: 2000,
    ruleFiles: [resolve(RULES_FILE)],
  })
  t.teardown(() => prometheus.close())
  const ask = async (path: string): Promise<unknown> => {
    const answer = await fetch(`${prometheus.url}/api/v1/${path}`)
    const { data, error } = (await answer.json()) as { data?: unknown; error?: string }
    if (error !== undefined) throw new Error(`${decodeURIComponent(path)}: ${error}`)
    return data
  }
  const query = async (expr: string) => {
    const { result } = (await ask(`query?query=${encodeURIComponent(substitute(expr))}`)) as { result: Vector[] }
    return result.filter(({ value }) => Number.isFinite(Number(value[1])))
  }

  await until('both deciders know both clusters', 120_000, async () => {
    const reports = await Promise.all(stage.clusters.map(poolReport))
    return reports.every(report => report?.clusters.every(cluster => cluster.available === 2) === true)
  })
  await until('everything is scraped', 90_000, async () => (await query('up == 1')).length === 8)
  // What shows only when something is wrong: a paused runner, a limit of GitLab's, and a pod that cannot be injected.
  await pauseRunner(stage)
  stage.gitlab.faults.add({ fault: { kind: 'throttled', retryAfterSeconds: 1 }, caller: 'token:runners-b', count: 1 })
  for (const name of ['chart-default-release', 'host-network']) await webhook.review(name)

  // This stage has no fleet; its dashboard has a test of its own.
  const shown = ['overview', 'runners', 'webhook'] as const
  const wanted = [...panelQueries(shown), ...variableQueries(shown).map(each => ({ ...each, legendLabels: [] }))]
  const found = new Map<string, Set<string>>()
  await until('data for every query', 120_000, async () => {
    for (const { where, expr } of wanted.filter(each => !found.has(each.where))) {
      const vectors = await query(expr)
      if (vectors.length > 0) found.set(where, new Set(vectors.flatMap(({ metric }) => Object.keys(metric))))
    }
    return found.size === wanted.length
  }).catch(() => undefined)
  for (const { where, expr, legendLabels } of wanted) {
    const labels = found.get(where)
    t.ok(labels, `${where} has data: ${expr}`)
    for (const label of legendLabels)
      t.ok(labels?.has(label), `${where}: the legend's ${label} is a label of its series`)
  }

  await t.test('every rule is evaluated, and only what was done on purpose raises an alert', async t => {
    interface Rule {
      name: string
      health: string
      state: string
      lastError?: string
    }
    const { groups } = (await ask('rules')) as { groups: { rules: Rule[] }[] }
    const rules = groups.flatMap(group => group.rules)
    t.equal(rules.length, alertRules().length)
    for (const { name, health, lastError } of rules) t.equal(health, 'ok', `${name}: ${lastError ?? ''}`)
    t.same(
      rules.filter(({ state }) => state === 'firing').map(({ name }) => name),
      ['HadrRunnerSkipped'],
    )
  })

  for (const [job, [url = '']] of jobs) {
    await t.test(`promtool finds no fault in the metrics of ${job}, but for the old names`, async t => {
      const input = await (await fetch(`${url}/metrics`)).text()
      const { stdout, stderr, error } = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' })
      t.equal(error, undefined)
      const faults = `${stdout}${stderr}`.split('\n').filter(line => line !== '')
      t.same(
        faults.filter(line => !line.startsWith('port_total ')),
        [],
      )
    })
  }
})
