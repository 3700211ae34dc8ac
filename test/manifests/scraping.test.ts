import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { parse, stringify } from 'yaml'
import { deciderConfigSchema } from '../../decider/config.ts'
import { kustomize, lacksKubectl, readObjects } from '../support/kubectl.ts'
import { requirePrometheus, requirePromtool, startPrometheus } from '../support/prometheus.ts'
import { until } from '../support/until.ts'

interface ScrapeJob {
  job_name: string
  honor_labels: boolean
  kubernetes_sd_configs?: object[]
  [key: string]: unknown
}

interface Manifest {
  kind: string
  metadata: { name: string; namespace?: string }
  spec: unknown
}

interface Template {
  template: { metadata: { labels: object }; spec: { containers: { ports: { name: string }[] }[] } }
}

interface Selector {
  selector: { matchLabels: object }
}

const render = async (folder: string) => (await kustomize(folder)) as unknown as Manifest[]
const monitors = readObjects(
  readFileSync('manifests/prometheus/podmonitor.yaml', 'utf8'),
) as unknown as readonly Manifest[]

const { scrape_configs: jobs } = parse(readFileSync('manifests/prometheus/scrape-config.yaml', 'utf8')) as {
  scrape_configs: ScrapeJob[]
}
const sidecarJob = new RegExp(`^(?:${deciderConfigSchema.properties.prometheus.properties.job.default})$`)

/** A container's port as Prometheus discovers it in Kubernetes. */
function discovered(port: number, portName: string, labels: Record<string, string>, phase = 'Running') {
  const pod = Object.entries(labels).map(([name, value]) => [`__meta_kubernetes_pod_label_${name}`, value])
  return {
    targets: [`127.0.0.1:${port}`],
    labels: {
      __meta_kubernetes_namespace: 'ci',
      __meta_kubernetes_pod_name: `pod-${port}`,
      __meta_kubernetes_pod_phase: phase,
      __meta_kubernetes_pod_container_port_name: portName,
      ...(Object.fromEntries(pod) as Record<string, string>),
    },
  }
}

const of = (component: string) => ({
  app_kubernetes_io_name: 'gitlab-runner-hadr',
  app_kubernetes_io_component: component,
})
const PODS = [
  discovered(1, 'hadr-metrics', { app: 'ci-gitlab-runner' }),
  discovered(2, 'metrics', { app: 'ci-gitlab-runner' }),
  discovered(3, 'hadr-metrics', {}, 'Failed'),
  discovered(4, 'ops', of('decider')),
  discovered(5, 'webhook', of('webhook')),
  discovered(6, 'ops', of('webhook')),
  discovered(7, 'ops', { app: 'something' }),
]
/** Debian's Prometheus is built without the discovery in Kubernetes, so that what it would find is written down. */
const played = jobs.map(job => {
  const entries = Object.entries(job).filter(([key]) => key !== 'kubernetes_sd_configs')
  return { ...Object.fromEntries(entries), static_configs: PODS }
})

t.test('the plain scrape configuration discovers pods, and is sound', async t => {
  for (const job of jobs) t.same(job.kubernetes_sd_configs, [{ role: 'pod' }], job.job_name)
  if (!(await requirePromtool(t))) return
  const file = join(t.testdir(), 'prometheus.yaml')
  writeFileSync(file, stringify({ scrape_configs: played }))
  const { stdout } = await promisify(execFile)('promtool', ['check', 'config', file])
  t.match(stdout, /SUCCESS/)
})

t.test('relabelling keeps the ports of the programs and no other, each under its job', async t => {
  if (!(await requirePrometheus(t))) return
  const prometheus = await startPrometheus(t, { scrapeConfigs: played, scrapeIntervalMs: 10_000 })
  let targets: { labels: Record<string, string> }[] = []
  await until('the targets are known', 30_000, async () => {
    const answer = await fetch(`${prometheus.url}/api/v1/targets`)
    const body = (await answer.json()) as { data: { activeTargets: typeof targets } }
    targets = body.data.activeTargets
    return targets.length > 0
  })
  const label = (port: number, job: string) => ({
    instance: `127.0.0.1:${port}`,
    job,
    namespace: 'ci',
    pod: `pod-${port}`,
  })
  t.same(
    targets.map(({ labels }) => labels).sort((a, b) => ((a['instance'] ?? '') < (b['instance'] ?? '') ? -1 : 1)),
    [label(1, 'gitlab-runner-hadr'), label(4, 'gitlab-runner-hadr-decider'), label(6, 'gitlab-runner-hadr-webhook')],
  )
})

t.test('the decider finds the sidecars’ job by its default, and takes no other for it', t => {
  const names = monitors.map(({ metadata }) => `${metadata.namespace ?? ''}/${metadata.name}`)
  t.same(
    [...jobs.map(job => job.job_name), ...names].filter(name => sidecarJob.test(name)),
    ['gitlab-runner-hadr', 'gitlab-runner-hadr/gitlab-runner-hadr'],
  )
  t.end()
})

t.test('what a program says of itself stays as it is, with and without the operator', t => {
  for (const job of jobs) t.equal(job.honor_labels, true, job.job_name)
  for (const { spec } of monitors) {
    t.match(spec, { podMetricsEndpoints: [{ honorLabels: true, path: '/metrics', interval: '15s' }] })
  }
  t.end()
})

t.test(
  'the monitors select the pods that are installed, by a port that they have',
  { skip: lacksKubectl() },
  async t => {
    const installed = [...(await render('manifests/base')), ...(await render('manifests/decider'))]
    for (const component of ['decider', 'webhook']) {
      const monitor = monitors.find(({ metadata }) => metadata.name === `gitlab-runner-hadr-${component}`)
      const deployment = installed.find(
        ({ kind, metadata }) => kind === 'Deployment' && metadata.name === `gitlab-runner-hadr-${component}`,
      )
      const template = (deployment?.spec as Template).template
      t.match(monitor, {
        metadata: { namespace: deployment?.metadata.namespace },
        spec: { podMetricsEndpoints: [{ port: 'ops' }] },
      })
      t.match(template.metadata.labels, (monitor?.spec as Selector).selector.matchLabels)
      t.ok(template.spec.containers.some(({ ports }) => ports.some(({ name }) => name === 'ops')))
    }
  },
)

t.test('one address in one place leads from every alert to its runbook', { skip: lacksKubectl() }, async t => {
  const folder = t.testdir()
  const up = relative(folder, 'manifests/prometheus')
  const url = 'https://gitlab.example.com/hadr/-/blob/main/docs/runbooks.md'
  const kustomization = { resources: [up, 'runbooks.yaml'], components: [`${up}/runbooks`] }
  const runbooks = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'gitlab-runner-hadr-runbooks', annotations: { 'config.kubernetes.io/local-config': 'true' } },
    data: { url },
  }
  writeFileSync(join(folder, 'kustomization.yaml'), stringify(kustomization))
  writeFileSync(join(folder, 'runbooks.yaml'), stringify(runbooks))
  const objects = await render(folder)
  t.notOk(objects.some(({ kind }) => kind === 'ConfigMap'))
  const rule = objects.find(({ kind }) => kind === 'PrometheusRule')
  const { groups } = rule?.spec as { groups: { rules: { alert: string; annotations: Record<string, string> }[] }[] }
  for (const { alert, annotations } of groups.flatMap(group => group.rules)) {
    t.equal(annotations['runbook_url'], `${url}#${alert.toLowerCase()}`)
  }
})
