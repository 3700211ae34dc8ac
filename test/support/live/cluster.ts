import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { createNodeTransport } from '../../../lib/http/node-transport.ts'
import type { SimulatedKubernetes } from '../../../simulator/kubernetes/server.ts'
import { matchesLabels, requirementsOf } from '../../../simulator/kubernetes/selectors.ts'
import {
  asRecord,
  asString,
  labelsOf,
  metadataOf,
  nameOf,
  records,
  type KubeObject,
} from '../../../simulator/kubernetes/values.ts'
import { startPrometheusEndpoint } from '../../../simulator/prometheus/endpoint.ts'
import { startPrometheusProcess } from '../../../simulator/prometheus/process.ts'
import { open, startApi } from '../kubernetes.ts'
import { reconcileDeployments } from './deployments.ts'
import { Node, type NodeOptions } from './node.ts'
import { RUNNER_IMAGE } from './program.ts'

export interface LiveClusterOptions extends Omit<NodeOptions, 'api' | 'names'> {
  /** Where pods reach Prometheus, as the configuration says it. */
  prometheusUrl: string
  realPrometheus: boolean
}

/** A cluster in which what is applied comes to life: pods are processes of this machine. */
export interface LiveCluster {
  api: SimulatedKubernetes
  /** Where its Prometheus is for people on this machine. */
  prometheusUrl: string
  /** What went wrong in the cluster itself, for the report of a failed test. */
  troubles: readonly string[]
}

const SYNC_EVERY_MS = 200

/** A cluster with runners as they are before anything of this project is there; it ends with the test. */
export async function startLiveCluster(t: Test, options: LiveClusterOptions): Promise<LiveCluster> {
  const { clock, folder } = options
  const api = await startApi(t, { rbac: true })
  const { connection: admin } = await open(t, api, { callDeadlineMs: 20_000 })
  const targetsFile = join(folder, 'targets.json')
  await writeFile(targetsFile, '[]')
  let targets: Target[] = []
  const prometheus = await startMonitoring(options, targetsFile, () => targets)
  t.teardown(() => prometheus.close())

  const names = new Map([[options.prometheusUrl, prometheus.url]])
  const node = new Node({ ...options, api, names })
  const ending = new AbortController()
  const troubles: string[] = []
  const cycle = async () => {
    troubles.push(...(await node.sync()))
    await reconcileDeployments(api.state, admin, pod => node.isReady(pod))
    leadServices(api, node)
    const found = targetsOf(api, node)
    if (JSON.stringify(found) === JSON.stringify(targets)) return
    targets = found
    await writeFile(`${targetsFile}.new`, JSON.stringify(found))
    await rename(`${targetsFile}.new`, targetsFile)
  }
  const cycles = (async () => {
    while (!ending.signal.aborted) {
      await cycle().catch((error: unknown) => troubles.push(String(error)))
      await clock.sleep(SYNC_EVERY_MS, ending.signal).catch(() => undefined)
    }
  })()
  t.teardown(async () => {
    ending.abort()
    await cycles
    await node.kill()
  })
  furnish(api)
  return { api, prometheusUrl: prometheus.url, troubles }
}

/** As the official chart makes it. */
function furnish({ state }: SimulatedKubernetes): void {
  const app = { app: 'gitlab-runner' }
  state.addNamespace('gitlab-runners')
  state.put('deployments', {
    metadata: { name: 'gitlab-runner', namespace: 'gitlab-runners', labels: { ...app, chart: 'gitlab-runner-0.80.0' } },
    spec: {
      replicas: 2,
      selector: { matchLabels: app },
      template: {
        metadata: { labels: { ...app, chart: 'gitlab-runner-0.80.0' } },
        spec: { containers: [{ name: 'gitlab-runner', image: RUNNER_IMAGE }] },
      },
    },
  })
}

/** Each Service leads webhooks to its ready pods, in turn. */
function leadServices({ state }: SimulatedKubernetes, node: Node): void {
  for (const service of state.list('services')) {
    const namespace = asString(metadataOf(service)['namespace']) ?? ''
    const spec = asRecord(service['spec']) ?? {}
    const selector = requirementsOf({ matchLabels: spec['selector'] })
    const [port = {}] = records(spec['ports'])
    let turn = 0
    state.addService(namespace, nameOf(service), () => {
      const ready = state
        .list('pods', namespace)
        .filter(pod => matchesLabels(labelsOf(pod), selector) && node.isReady(pod))
      const pod = ready[turn++ % ready.length]
      const at = pod && node.portOf(pod, containerPortOf(pod, port['targetPort']))
      return at === undefined ? undefined : { host: '127.0.0.1', port: at }
    })
  }
}

interface Target {
  targets: string[]
  labels: { job: string }
}

/** What the Prometheus Operator makes of PodMonitors: every pod they select that has a port of that name. */
function targetsOf({ state }: SimulatedKubernetes, node: Node): Target[] {
  return state.list('podMonitors').flatMap(monitor => {
    const spec = asRecord(monitor['spec']) ?? {}
    const namespace = asString(metadataOf(monitor)['namespace']) ?? ''
    const everywhere = asRecord(spec['namespaceSelector'])?.['any'] === true
    const selector = requirementsOf(spec['selector'])
    const [endpoint = {}] = records(spec['podMetricsEndpoints'])
    const addresses = state.list('pods', everywhere ? '' : namespace).flatMap(pod => {
      const number = matchesLabels(labelsOf(pod), selector) ? containerPortOf(pod, endpoint['port']) : undefined
      const at = number === undefined ? undefined : node.portOf(pod, number)
      return at === undefined ? [] : [`127.0.0.1:${at}`]
    })
    return [{ targets: addresses, labels: { job: `${namespace}/${nameOf(monitor)}` } }]
  })
}

function containerPortOf(pod: KubeObject, name: unknown): number {
  const ports = records(asRecord(pod['spec'])?.['containers']).flatMap(container => records(container['ports']))
  return Number(ports.find(port => port['name'] === name)?.['containerPort'])
}

async function startMonitoring(
  { realPrometheus, folder, clock, timeScale }: LiveClusterOptions,
  targetsFile: string,
  targets: () => readonly Target[],
): Promise<{ url: string; close(): Promise<void> }> {
  const scrapeIntervalMs = Math.round(15_000 * timeScale)
  if (!realPrometheus) {
    const listed = () =>
      targets().flatMap(({ targets: addresses, labels: { job } }) =>
        addresses.map(address => ({ job, url: `http://${address}/metrics` })),
      )
    return startPrometheusEndpoint({ clock, transport: createNodeTransport(), targets: listed, scrapeIntervalMs })
  }
  const files = [{ files: [targetsFile], refresh_interval: '1s' }]
  return startPrometheusProcess({
    clock,
    folder: join(folder, 'prometheus'),
    scrapeConfigs: [{ job_name: 'pods', honor_labels: true, file_sd_configs: files }],
    scrapeIntervalMs,
  })
}
