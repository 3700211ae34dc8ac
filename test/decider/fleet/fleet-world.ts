import type { FleetConfig } from '../../../decider/fleet/config.ts'
import { createKeeper, type KeeperDeps } from '../../../decider/fleet/keeper.ts'
import { createFleetMetrics } from '../../../decider/fleet/metrics.ts'
import { createScaler } from '../../../decider/fleet/scaler.ts'
import type { FleetSituation } from '../../../decider/fleet/situation.ts'
import type { BusyManager, PendingJob } from '../../../lib/gitlab/fleet.ts'
import { createKubernetesClient, type KubernetesClient } from '../../../lib/kubernetes/client.ts'
import type { Connection } from '../../../lib/kubernetes/connection.ts'
import { errorOfAnswer } from '../../../lib/kubernetes/errors.ts'
import type { InstantResult, Labels, Sample } from '../../../lib/prometheus/answer.ts'
import type { Random } from '../../../lib/service/clock.ts'
import { silentLog } from '../../../lib/service/log.ts'
import { createKubernetes, type KubernetesCore } from '../../../simulator/kubernetes/core.ts'
import { startReplicas, type Kubelet } from '../../../simulator/kubernetes/replicas.ts'
import { Registry } from 'prom-client'
import { createManualClock } from '../../support/manual-clock.ts'

export const NAMESPACE = 'runners'
export const DEPLOYMENT = 'manager'
export const SLOTS = 2

/** Calls the simulated API server without a socket. */
export function coreConnection(core: KubernetesCore): Connection {
  return {
    call: async ({ method, path, query = {}, body, contentType = 'application/json', subject }) => {
      const search = new URLSearchParams(query).toString()
      const answer = await core.handle({
        method,
        path: search === '' ? path : `${path}?${search}`,
        headers: { 'content-type': contentType },
        body: body === undefined ? '' : JSON.stringify(body),
      })
      if (answer.status > 299) throw errorOfAnswer(`${method} ${subject}`, answer.status, answer.body, undefined)
      return JSON.parse(answer.body) as unknown
    },
    lines: () => {
      throw new Error('nobody watches here')
    },
    close: () => Promise.resolve(),
  }
}

export interface RunningJob {
  endsMs: number
}

/** A cluster's managers with their jobs, as Kubernetes, Prometheus and GitLab show them; time is a test's. */
export class FleetWorld {
  readonly clock = createManualClock()
  readonly core: KubernetesCore
  readonly client: KubernetesClient
  readonly registry = new Registry()
  readonly metrics = createFleetMetrics(this.registry)
  readonly events: string[] = []
  /** Running jobs by pod, ended pods included until they are gone. */
  readonly jobs = new Map<string, RunningJob[]>()
  pending: PendingJob[] = []
  /** A pod that is told to end: its jobs end first (true), or die (false). */
  drains = true
  killed = 0
  /** Pods that lost their place although they had jobs and another one had none. */
  wronged: string[] = []
  /** Called when GitLab was asked who is busy, before anything is given up. */
  onAsked: () => void = () => undefined
  readyAfterMs: () => number = () => 0
  prometheusDown = false
  gitlabDown = false
  #scraped: Sample[] = []
  readonly #ready = new Set<string>()
  readonly #ending = new Map<string, () => void>()
  readonly replicas

  constructor(
    replicas: number,
    readonly random: Random,
  ) {
    this.core = createKubernetes({ clock: this.clock, random })
    this.client = createKubernetesClient({ connection: coreConnection(this.core), clock: this.clock })
    const { state } = this.core
    state.addNamespace(NAMESPACE)
    const labels = { app: 'manager' }
    state.put('deployments', {
      metadata: { name: DEPLOYMENT, namespace: NAMESPACE, labels },
      spec: { replicas, selector: { matchLabels: labels }, template: { metadata: { labels } } },
    })
    const kubelet: Kubelet = {
      start: (pod, ready) => {
        this.jobs.set(pod, [])
        this.clock.after(this.readyAfterMs(), () => {
          this.#ready.add(pod)
          ready()
        })
      },
      stop: (pod, gone) => this.#stop(pod, gone),
    }
    this.replicas = startReplicas({
      state,
      namespace: NAMESPACE,
      deployment: DEPLOYMENT,
      kubelet,
      clock: this.clock,
      random,
    })
  }

  get wanted(): number {
    const spec = this.core.state.get('deployments', NAMESPACE, DEPLOYMENT)?.['spec'] as { replicas: number }
    return spec.replicas
  }

  get running(): number {
    return [...this.jobs.values()].reduce((sum, jobs) => sum + jobs.length, 0)
  }

  /** Managers that take jobs. */
  get open(): string[] {
    return this.replicas.pods().filter(pod => this.#ready.has(pod) && (this.jobs.get(pod)?.length ?? 0) < SLOTS)
  }

  /** Some manager takes a job; false: none is free. */
  startJob(forMs: number): boolean {
    const { open } = this
    const pod = open[Math.floor(this.random() * open.length)]
    if (pod === undefined) return false
    this.jobs.get(pod)?.push({ endsMs: this.clock.monotonicMs() + forMs })
    return true
  }

  /** Jobs whose time has come end; drained pods go. */
  endJobs(): void {
    const nowMs = this.clock.monotonicMs()
    for (const [pod, jobs] of this.jobs) {
      const left = jobs.filter(job => job.endsMs > nowMs)
      this.jobs.set(pod, left)
      if (left.length === 0) this.#ending.get(pod)?.()
    }
  }

  scrape(): void {
    const nowMs = this.clock.wallMs()
    this.#scraped = [...this.#ready].flatMap(pod => this.#samplesOf(pod, nowMs))
  }

  config(more: Partial<FleetConfig> = {}): FleetConfig {
    return {
      pool: 'rnd',
      cluster: 'a',
      mainTag: 'rnd-runner',
      clusterTag: 'runner-a',
      rules: { min: 1, max: 12, standby: 1, spare: 1, growBy: 3, windowMs: 300_000, stepMs: 60_000 },
      tags: [],
      projects: [101],
      target: { namespace: NAMESPACE, deployment: DEPLOYMENT },
      housekeeping: undefined,
      everyMs: 15_000,
      minGapMs: 5_000,
      sampleMaxAgeMs: 45_000,
      queueWindowMs: 120_000,
      ...more,
    }
  }

  situation(more: Partial<FleetSituation> = {}): FleetSituation {
    return { role: 'active', runnerIds: [7], inherited: null, wanted: null, ...more }
  }

  keeper(config: FleetConfig, more: Partial<KeeperDeps> = {}) {
    const target = { namespace: NAMESPACE, deployment: DEPLOYMENT }
    return createKeeper(config, {
      prometheus: { instant: query => this.#instant(query) },
      gitlab: {
        pendingJobs: () => {
          if (this.gitlabDown) return Promise.reject(new Error('GitLab is down'))
          return Promise.resolve({ jobs: this.pending, whole: true })
        },
        managers: () => {
          if (this.gitlabDown) return Promise.reject(new Error('GitLab is down'))
          const managers = this.#managers()
          this.onAsked()
          return Promise.resolve(managers)
        },
      },
      ...(config.target ? { scaler: createScaler(this.client, target) } : {}),
      maySend: () => true,
      dryRun: false,
      metrics: this.metrics,
      tell: (type, reason, note) => this.events.push(`${type} ${reason} ${note}`),
      clock: this.clock,
      random: this.random,
      log: silentLog,
      ...more,
    })
  }

  #stop(pod: string, gone: () => void): void {
    this.#ready.delete(pod)
    const jobs = this.jobs.get(pod) ?? []
    const idle = this.replicas.pods().some(other => other !== pod && this.jobs.get(other)?.length === 0)
    if (jobs.length > 0 && idle) this.wronged.push(pod)
    const leave = () => {
      this.#ending.delete(pod)
      this.jobs.delete(pod)
      gone()
    }
    if (jobs.length === 0 || !this.drains) {
      this.killed += jobs.length
      leave()
    } else {
      this.#ending.set(pod, leave)
    }
  }

  #samplesOf(pod: string, atMs: number): Sample[] {
    const target = { job: 'runners', instance: pod }
    const system = `s_${pod}`
    const running = this.jobs.get(pod)?.length ?? 0
    const both = (kind: string, labels: Labels, value: number) => [
      sample({ ...labels, hadr_kind: kind }, value, atMs),
      sample({ ...labels, hadr_kind: `${kind}_at` }, atMs / 1000, atMs),
    ]
    const place = { pod_name: pod, pod_namespace: NAMESPACE }
    return [
      ...both('info', { ...place, runner_id: '7', system_id: system }, 1),
      ...both('limit', { ...target, system_id: system }, 0),
      ...both('concurrent', target, SLOTS),
      ...(running > 0 ? both('jobs', { ...target, system_id: system, stage: 'script' }, running) : []),
    ]
  }

  #instant(query: string): Promise<InstantResult> {
    if (this.prometheusDown) return Promise.resolve({ kind: 'unavailable', message: 'down' })
    if (!query.includes('hadr_kind')) return Promise.resolve({ kind: 'empty' })
    const evaluatedAtMs = this.clock.wallMs()
    if (this.#scraped.length === 0) return Promise.resolve({ kind: 'empty' })
    return Promise.resolve({ kind: 'complete', samples: this.#scraped, evaluatedAtMs })
  }

  #managers(): BusyManager[] {
    return [...this.jobs].map(([pod, jobs]) => ({
      systemId: `s_${pod}`,
      online: true,
      contactedAtMs: this.clock.wallMs(),
      busy: jobs.length > 0,
    }))
  }
}

function sample(labels: Labels, value: number, timestampMs: number): Sample {
  return { labels, value, raw: String(value), timestampMs }
}
