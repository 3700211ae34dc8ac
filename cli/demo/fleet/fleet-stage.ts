import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createNodeTransport } from '../../../lib/http/node-transport.ts'
import { type SimulatedGitLab, startGitLab } from '../../../simulator/gitlab/server.ts'
import { startKubernetes } from '../../../simulator/kubernetes/server.ts'
import { type Replicas, startReplicas } from '../../../simulator/kubernetes/replicas.ts'
import type { SimulatedKubernetes } from '../../../simulator/kubernetes/server.ts'
import { startPrometheusEndpoint } from '../../../simulator/prometheus/endpoint.ts'
import { startPrometheusProcess } from '../../../simulator/prometheus/process.ts'
import { createTokens } from '../cluster-files.ts'
import { type JobStage, openJobStage } from '../job-metrics.ts'
import { type Program, freePorts, startProgram } from '../process.ts'
import { scaledTiming } from '../stage.ts'
import { type StageOptions, GROUP_ID, HADR_PROJECT_ID, MAIN_TAG } from '../stage-options.ts'
import { type Managers, createManagers } from './managers.ts'

export const CLUSTER = 'a'
export const NAMESPACE = 'gitlab-runners'
export const DEPLOYMENT = 'ci-runner'
export const MAX_MANAGERS = 4
/** What jobs' tokens must be made for; the decider's default. */
export const JOBS_AUDIENCE = 'gitlab-runner-hadr'
/** Of the kubelet's numbers: pods of jobs live in real time. */
const KUBELET_SCRAPE_SECONDS = 1
/** As `startPod` configures its runners. */
export const SLOTS = 2
/** The shortest that the configuration allows. */
const WINDOW_SECONDS = 60

/** One cluster whose runner managers follow the demand: GitLab, Kubernetes, Prometheus, a decider, and pods that come and go. */
export interface FleetStage {
  options: StageOptions
  gitlab: SimulatedGitLab
  kubernetes: SimulatedKubernetes
  /** `http://127.0.0.1:PORT` of what answers Prometheus's API. */
  prometheusUrl: string
  deciderUrl: string
  ciProjectId: number
  managers: Managers
  replicas: Replicas
  /** Pods of jobs with known loads; only a real Prometheus can tell what they used. */
  jobStage: JobStage | undefined
  /** Managers that the Deployment asks for. */
  wanted(): number
  close(): Promise<void>
}

/** Least rights, as in manifests/components/decider-fleet and decider-jobs. */
const RIGHTS = [
  {
    role: 'decider-fleet',
    namespace: NAMESPACE,
    rules: [
      { apiGroups: ['apps'], resources: ['deployments', 'statefulsets'], verbs: ['get', 'list'] },
      { apiGroups: ['apps'], resources: ['deployments/scale'], resourceNames: [DEPLOYMENT], verbs: ['get', 'patch'] },
      { apiGroups: [''], resources: ['pods'], verbs: ['list', 'patch'] },
      { apiGroups: ['autoscaling'], resources: ['horizontalpodautoscalers'], verbs: ['list'] },
      { apiGroups: ['keda.sh'], resources: ['scaledobjects'], verbs: ['list'] },
    ],
  },
  {
    role: 'decider-jobs',
    namespace: NAMESPACE,
    rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] }],
  },
]

/** Starts everything but the decider's first look. What was started is closed again when a part fails. */
export async function createFleetStage(options: StageOptions): Promise<FleetStage> {
  const { timeScale, folder, clock, random, log } = options
  const home = join(folder, `cluster-${CLUSTER}`)
  await mkdir(home, { recursive: true })
  const closers: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const each of closers.reverse()) await each()
    closers.length = 0
  }
  try {
    const gitlab = await startGitLab({ clock, random, timing: scaledTiming(timeScale), log })
    closers.push(() => gitlab.close())
    const { state } = gitlab
    state.addGroup({ id: GROUP_ID, fullPath: 'ci' })
    state.addProject({ id: HADR_PROJECT_ID, fullPath: 'ci/hadr', group: GROUP_ID })
    const ciProjectId = state.addProject({ fullPath: 'ci/app', group: GROUP_ID }).id
    const runner = state.addRunner({ description: 'cluster a', tags: [`runner-${CLUSTER}`, MAIN_TAG], group: GROUP_ID })
    const tokens = await createTokens(CLUSTER, gitlab, home)

    const kubernetes = await startKubernetes({ clock, random, rbac: true })
    closers.push(() => kubernetes.close())
    kubernetes.state.addNamespace(NAMESPACE)
    kubernetes.state.addToken('decider', { username: 'decider' }, RIGHTS)
    const labels = { app: DEPLOYMENT }
    kubernetes.state.put('deployments', {
      metadata: { name: DEPLOYMENT, namespace: NAMESPACE, labels },
      spec: { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels } } },
    })
    const managers = await createManagers({
      state,
      gitlabUrl: gitlab.url,
      runnerToken: runner.token,
      runnerId: runner.id,
      sidecarTokenFile: tokens.sidecar,
      stage: options,
      home,
    })
    closers.push(() => managers.close())
    const replicas = startReplicas({
      state: kubernetes.state,
      namespace: NAMESPACE,
      deployment: DEPLOYMENT,
      kubelet: managers.kubelet,
      clock,
      random,
    })
    closers.push(() => {
      replicas.close()
      return Promise.resolve()
    })

    const jobStage = options.realPrometheus
      ? await openJobStage({ clock, state: kubernetes.state, namespace: NAMESPACE })
      : undefined
    closers.push(async () => jobStage?.close())
    const prometheus = await startPrometheus(managers, jobStage, options, home)
    closers.push(() => prometheus.kill())
    const [port = 0] = await freePorts(1)
    const decider = await startDecider(
      { gitlab, kubernetes, prometheusUrl: prometheus.url, ciProjectId, tokens, port, home },
      options,
    )
    closers.push(() => decider.kill())
    return {
      options,
      gitlab,
      kubernetes,
      prometheusUrl: prometheus.url,
      deciderUrl: `http://127.0.0.1:${port}`,
      ciProjectId,
      managers,
      replicas,
      jobStage,
      wanted: () => {
        const spec = kubernetes.state.get('deployments', NAMESPACE, DEPLOYMENT)?.['spec'] as { replicas?: number }
        return spec.replicas ?? 0
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function startPrometheus(
  managers: Managers,
  jobStage: JobStage | undefined,
  options: StageOptions,
  home: string,
) {
  const { clock, timeScale, realPrometheus } = options
  const scrapeIntervalMs = Math.round(15_000 * timeScale)
  if (realPrometheus) {
    const kubelet = jobStage ? [{ ...jobStage.scrapeConfig, scrape_interval: `${KUBELET_SCRAPE_SECONDS}s` }] : []
    const files = [{ files: [managers.targetsFile], refresh_interval: '1s' }]
    return startPrometheusProcess({
      clock,
      folder: join(home, 'prometheus'),
      scrapeConfigs: [{ job_name: 'pods', honor_labels: true, file_sd_configs: files }, ...kubelet],
      scrapeIntervalMs,
    })
  }
  const transport = createNodeTransport()
  const endpoint = await startPrometheusEndpoint({
    clock,
    transport,
    targets: () => managers.targets(),
    scrapeIntervalMs,
  })
  return { url: endpoint.url, kill: () => endpoint.close() }
}

interface DeciderParts {
  gitlab: SimulatedGitLab
  kubernetes: SimulatedKubernetes
  prometheusUrl: string
  ciProjectId: number
  tokens: { runners: string; project: string }
  port: number
  home: string
}

/** JSON is YAML. */
async function startDecider(parts: DeciderParts, options: StageOptions): Promise<Program> {
  const { home, tokens, port } = parts
  const config = join(home, 'decider.yaml')
  const kubeconfig = join(home, 'kubeconfig')
  await writeFile(kubeconfig, parts.kubernetes.kubeconfig('decider', NAMESPACE), { mode: 0o600 })
  await writeFile(
    config,
    JSON.stringify(
      {
        cluster: CLUSTER,
        gitlab: {
          url: parts.gitlab.url,
          group: GROUP_ID,
          project: HADR_PROJECT_ID,
          tokenFile: tokens.runners,
          projectTokenFile: tokens.project,
        },
        prometheus: { url: parts.prometheusUrl },
        timeScale: options.timeScale,
        runners: { namespace: NAMESPACE, selector: `app=${DEPLOYMENT}` },
        jobs: { namespaces: [NAMESPACE], folder: join(home, 'jobs'), scrapeSeconds: KUBELET_SCRAPE_SECONDS },
        pools: [
          {
            mainTag: MAIN_TAG,
            clusters: [
              { name: CLUSTER, tag: `runner-${CLUSTER}` },
              { name: 'b', tag: 'runner-b' },
            ],
            fleet: {
              scale: 'patch',
              deployment: DEPLOYMENT,
              max: MAX_MANAGERS,
              growBy: 2,
              windowSeconds: WINDOW_SECONDS,
              projects: [parts.ciProjectId],
            },
          },
        ],
      },
      null,
      2,
    ),
  )
  return startProgram(
    {
      name: 'decider',
      script: join(options.programs, 'decider.cjs'),
      args: ['--config', config, '--no-lease', '--listen', `127.0.0.1:${port}`],
      environment: { KUBECONFIG: kubeconfig },
    },
    join(home, 'decider.log'),
    options.clock,
  )
}
