import type { Test } from 'tap'
import { runDoctor } from '../../cli/doctor.ts'
import { shakeHands } from '../../cli/doctor/shake-hands.ts'
import type { DoctorWorld } from '../../cli/doctor/tools.ts'
import { digestOf } from '../../decider/pool.ts'
import { createNodeTransport } from '../../lib/http/node-transport.ts'
import { openConnection, parseKubeConfig } from '../../lib/kubernetes/connection.ts'
import { systemClock } from '../../lib/service/clock.ts'
import { CONTAINER_NAME, INJECT_LABEL } from '../../webhook/names.ts'
import type { KubernetesState } from '../../simulator/kubernetes/state.ts'
import { startGitLab, type SimulatedGitLab } from '../../simulator/gitlab/server.ts'
import { startPrometheusEndpoint } from '../../simulator/prometheus/endpoint.ts'
import { createTestAuthority, type TestAuthority } from '../support/authority.ts'
import { caller } from '../support/gitlab.ts'
import { startApi } from '../support/kubernetes.ts'
import { createTestTerminal } from '../support/terminal.ts'
import { startWebhook } from '../support/webhook-server.ts'

export const NAMESPACE = 'gitlab-runners'
export const OWN_NAMESPACE = 'gitlab-runner-hadr'
export const TOKEN = 'glpat-decider-never-shown'
export const PROJECT_TOKEN = 'glpat-project-never-shown'
const SERVICE = 'gitlab-runner-hadr-webhook'
const KUBE_TOKEN = 'kube-decider'

/** One key for all scenes: making them is slow, and no check looks at it. */
const authority = createTestAuthority('webhook authority')

export interface Settings {
  gitlabUrl: string
  group: number
  project: number
  prometheusUrl: string
  prometheusJob: string
  cluster: string
  tagOfB: string
  projectToken: boolean
  insideCluster: boolean
  checkDeadlineMs: number
  webhookConfig: boolean
}

export interface Scene {
  gitlab: SimulatedGitLab
  kubernetes: KubernetesState
  stopKubernetes: () => Promise<void>
  /** What the doctor is told; a fault may change it. */
  settings: Settings
  /** What each sidecar exposes; an empty list: nothing is scraped. */
  sidecars: { job: string; metrics: string }[]
  authority: TestAuthority
  /** Where the webhook's Service leads. */
  service: { port: number }
  publish: (cluster: string, status: { digest?: string }) => Promise<void>
  putWebhook: (changes?: { clientConfig?: object; failurePolicy?: string }) => void
  putPod: (name: string, labels: Record<string, string>, sidecar: boolean) => void
  run: (...argv: string[]) => Promise<{ code: number; stdout: string; stderr: string }>
}

export function sidecarMetrics(runnerId: number, pod: string): string {
  const labels = `pod_name="${pod}",pod_namespace="${NAMESPACE}"`
  return [
    `gitlab_runner_hadr_sidecar_available{${labels}} 1`,
    `gitlab_runner_hadr_sidecar_runner_info{${labels},runner_id="${runnerId}",system_id="s_1"} 1`,
    '',
  ].join('\n')
}

/** Cluster a of two, in which nothing is wrong: GitLab, Prometheus and Kubernetes on loopback sockets. */
export async function createHealthyScene(t: Test): Promise<Scene> {
  const gitlab = await startGitLab()
  t.teardown(() => gitlab.close())
  const { state } = gitlab
  state.addGroup({ id: 33, fullPath: 'ci' })
  state.addProject({ id: 101, fullPath: 'ci/hadr', group: 33 })
  state.addToken({ token: TOKEN, name: 'decider-a', scopes: ['api'], groups: { 33: 'owner' } })
  state.addToken({ token: 'glpat-b', name: 'decider-b', scopes: ['api'], groups: { 33: 'owner' } })
  state.protect({ project: 101, branch: 'hadr/a', pushTokens: [TOKEN], allowForce: true })
  state.protect({ project: 101, branch: 'hadr/b', pushTokens: ['glpat-b'], allowForce: true })
  state.addRunner({ id: 1, description: 'a-1', group: 33, tags: ['runner-a', 'rnd-runner'] })
  state.addRunner({ id: 2, description: 'b-1', group: 33, tags: ['runner-b'] })

  const sidecars = [{ job: 'gitlab-runner-hadr', metrics: sidecarMetrics(1, 'ci-1') }]
  const rounds: (() => void)[] = []
  const nextRound = () => new Promise<void>(resolve => rounds.push(resolve))
  const prometheus = await startPrometheusEndpoint({
    clock: systemClock,
    transport: ({ url }) =>
      Promise.resolve({
        status: 200,
        headers: {},
        body: sidecars[Number(new URL(url).pathname.slice(1))]?.metrics ?? '',
      }),
    targets: () => {
      for (const resolve of rounds.splice(0)) resolve()
      return sidecars.map(({ job }, index) => ({ job, url: `http://sidecar-${index}.test/${index}` }))
    },
    scrapeIntervalMs: 10,
  })
  t.teardown(() => prometheus.close())

  const api = await startApi(t, { rbac: false })
  const kubernetes = api.state
  kubernetes.addToken(KUBE_TOKEN, { username: 'system:serviceaccount:gitlab-runner-hadr:decider' })
  kubernetes.addNamespace(NAMESPACE, { [INJECT_LABEL]: 'enabled' })
  kubernetes.addNamespace(OWN_NAMESPACE)
  const leaf = authority.issue({ names: [`${SERVICE}.${OWN_NAMESPACE}.svc`] })
  const { port } = await startWebhook(t, leaf, (_request, response) => response.end())

  const settings: Settings = {
    gitlabUrl: gitlab.url,
    group: 33,
    project: 101,
    prometheusUrl: prometheus.url,
    prometheusJob: '(.*/)?gitlab-runner-hadr',
    cluster: 'a',
    tagOfB: 'runner-b',
    projectToken: false,
    insideCluster: true,
    checkDeadlineMs: 20_000,
    webhookConfig: true,
  }
  const service = { port }
  const transport = createNodeTransport()
  t.teardown(() => transport.close())

  const scene: Scene = {
    gitlab,
    kubernetes,
    stopKubernetes: () => api.stop(),
    settings,
    sidecars,
    authority,
    service,
    publish: async (cluster, { digest = digestOf(poolOf(settings)) }) => {
      const ask = caller(gitlab.url)
      const branch = await ask('GET', '/projects/101/repository/branches/main', { token: TOKEN })
      const { commit } = branch.json as { commit: { id: string } }
      const status = {
        digest,
        epoch: cluster === 'a' ? 1 : 0,
        active: cluster === 'a',
        available: 1,
        total: 1,
        desired: null,
        lastKnown: 1,
        unknownForSeconds: 0,
        servingIds: [],
        reason: cluster === 'a' ? 'ACTIVE' : 'STANDBY',
      }
      const decider = { id: cluster, version: 'test' }
      const document = { schema: 1, cluster, seq: 1, decider, pools: { 'rnd-runner': status } }
      const written = await ask('POST', '/projects/101/repository/commits', {
        token: cluster === 'a' ? TOKEN : 'glpat-b',
        body: {
          branch: `hadr/${cluster}`,
          start_sha: commit.id,
          force: true,
          commit_message: 'Status [skip ci]',
          actions: [{ action: 'create', file_path: 'status.json', content: JSON.stringify(document) }],
        },
      })
      if (written.status !== 201) throw new Error(written.text)
    },
    putWebhook: ({ clientConfig = {}, failurePolicy = 'Ignore' } = {}) => {
      kubernetes.put('webhookConfigurations', {
        metadata: { name: 'gitlab-runner-hadr' },
        webhooks: [
          {
            name: 'inject.gitlab-runner-hadr.io',
            admissionReviewVersions: ['v1'],
            sideEffects: 'None',
            failurePolicy,
            clientConfig: {
              service: { name: SERVICE, namespace: OWN_NAMESPACE, path: '/mutate', port: 443 },
              caBundle: Buffer.from(authority.certPem).toString('base64'),
              ...clientConfig,
            },
          },
        ],
      })
    },
    putPod: (name, labels, sidecar) => {
      const image = 'registry.example.com/gitlab-runner:19.4'
      kubernetes.put('pods', {
        metadata: { name, namespace: NAMESPACE, labels },
        spec: {
          restartPolicy: 'Always',
          containers: [{ name: 'runner', image }, ...(sidecar ? [{ name: CONTAINER_NAME, image }] : [])],
          volumes: [
            { name: 'configmaps', configMap: { name: 'runner-config' } },
            { name: 'kube', projected: { sources: [{ configMap: { name: 'kube-root-ca.crt' } }] } },
          ],
        },
      })
    },
    run: async (...argv) => {
      // The second round from now began after the first one was whole.
      await nextRound()
      await nextRound()
      const terminal = createTestTerminal({ env: { HADR_GITLAB_TOKEN: TOKEN }, transport })
      const folder = t.testdir({ token: TOKEN, 'project-token': PROJECT_TOKEN })
      const files: Record<string, string> = {
        'decider.yaml': deciderConfig(settings, folder),
        'webhook.yaml': 'sidecar: {image: registry.example.com/gitlab-runner-hadr:1.0.0}\n',
      }
      const world: DoctorWorld = Object.assign(terminal, {
        readFile: (path: string) => {
          const text = files[path]
          return text === undefined ? Promise.reject(new Error('no such file')) : Promise.resolve(text)
        },
        openKubernetes: () =>
          openConnection({
            kubeConfig: parseKubeConfig(api.kubeconfig(KUBE_TOKEN)),
            clock: systemClock,
            userAgent: 'test',
          }),
        insideCluster: settings.insideCluster,
        checkDeadlineMs: settings.checkDeadlineMs,
        // The cluster's name resolution leads to loopback.
        shakeHands: ({ servername, ca }, signal) =>
          shakeHands({ host: '127.0.0.1', port: service.port, servername, ca }, signal),
      } satisfies Omit<DoctorWorld, keyof typeof terminal>)
      const configs = [
        '--config',
        'decider.yaml',
        ...(settings.webhookConfig ? ['--webhook-config', 'webhook.yaml'] : []),
      ]
      const code = await runDoctor([...configs, ...argv], world)
      return { code, stdout: terminal.stdout, stderr: terminal.stderr }
    },
  }
  scene.putWebhook()
  scene.putPod('ci-1', { app: 'ci-gitlab-runner' }, true)
  kubernetes.put('services', {
    metadata: { name: SERVICE, namespace: OWN_NAMESPACE },
    spec: { ports: [{ port: 443 }] },
  })
  scene.kubernetes.put('configMaps', {
    metadata: { name: 'runner-config', namespace: NAMESPACE },
    data: { 'config.template.toml': '[[runners]]\n  [runners.cache]\n    Type = "s3"\n    Shared = true\n' },
  })
  await scene.publish('a', {})
  await scene.publish('b', {})
  return scene
}

function poolOf({ tagOfB }: Settings) {
  const clusters = [
    { name: 'a', tag: 'runner-a' },
    { name: 'b', tag: tagOfB },
  ]
  return { mainTag: 'rnd-runner', strength: 'count' as const, clusters }
}

function deciderConfig(settings: Settings, folder: string): string {
  const { mainTag, clusters } = poolOf(settings)
  return JSON.stringify({
    cluster: settings.cluster,
    gitlab: {
      url: settings.gitlabUrl,
      group: settings.group,
      project: settings.project,
      tokenFile: `${folder}/token`,
      ...(settings.projectToken && { projectTokenFile: `${folder}/project-token` }),
    },
    prometheus: { url: settings.prometheusUrl, job: settings.prometheusJob },
    pools: [{ mainTag, clusters }],
  })
}
