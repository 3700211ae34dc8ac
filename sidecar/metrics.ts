import { Gauge, type Registry } from 'prom-client'
import type { Availability } from './availability.ts'

/** What the sidecar looks after, one series each of `…_sidecar_check{check}`. */
export const CHECKS = {
  configuration: 'flags and environment were all understood',
  runner_metrics: "the runner's metrics are readable",
  contact: "the runner's job requests succeed",
  identity: 'GitLab knows the runner',
  gitlab: 'GitLab answers the sidecar',
  ports: 'local ports can be counted',
} as const
export type Check = keyof typeof CHECKS

/** Where the sidecar runs; the labels of its metrics. Empty where it was not told. */
export interface Place {
  podName: string
  podNamespace: string
  podIp: string
  groupId: string
}

/** All that is exposed. What is undefined is not known, and has no sample. */
export interface Snapshot {
  online: boolean | undefined
  total: number | undefined
  verdict: Availability
  /** Jobs that the runner works on now. */
  runningJobs: number | undefined
  uptimeSeconds: number
  statusRequests: { success: number; failed: number }
  ports: { used: number; total: number } | undefined
  checks: Readonly<Partial<Record<Check, boolean | undefined>>>
  runners: readonly { runnerId: number; systemId: string }[]
  lastContactSeconds: number | undefined
  gitlabLastSuccessSeconds: number | undefined
}

type Point = readonly [labels: Readonly<Record<string, string>>, value: number | boolean | undefined]

/**
 * Registers every metric. Each scrape takes one snapshot and exposes what it holds, so that a value which is no longer
 * known vanishes by itself. Names, help texts and labels of the first six are a contract with dashboards that
 * are already there, spelling included.
 */
export function registerSidecarMetrics(registry: Registry, place: Place, snapshot: () => Snapshot): void {
  const pod = { pod_ip: place.podIp, pod_name: place.podName, pod_namespace: place.podNamespace }
  const group = { group_id: place.groupId, ...pod }
  const current = oncePerTurn(snapshot)
  const gauge = (
    name: string,
    help: string,
    labelNames: readonly string[],
    points: (now: Snapshot) => readonly Point[],
  ) => registerGauge(registry, { name, help, labelNames }, () => points(current()))

  gauge(
    'gitlab_runner_hadr_sidecar_online_status',
    'Indicates if this runners statusis online using the information received from gitlab.',
    Object.keys(group),
    now => [[group, now.online]],
  )
  gauge(
    'gitlab_runner_hadr_sidecar_total_runners_available',
    'A metric that indicates how many runners were returned from the /get request to the api.',
    Object.keys(group),
    now => [[group, now.total]],
  )
  gauge(
    'gitlab_runner_hadr_uptime_seconds',
    'The uptime of the gitlab runner service in seconds.',
    Object.keys(pod),
    now => [[pod, now.uptimeSeconds]],
  )
  gauge(
    'gitlab_runner_hadr_sidecar_total_status_requests',
    'Counting how many /get requests where executed by the sidecar.',
    [...Object.keys(group), 'status'],
    ({ statusRequests: { success, failed } }) => [
      [{ ...group, status: 'success' }, success || undefined],
      [{ ...group, status: 'failed' }, failed || undefined],
    ],
  )
  gauge('port_used', 'Used Local Port Count', ['pod_name'], now => [[{ pod_name: pod.pod_name }, now.ports?.used]])
  gauge('port_total', 'Total Local Port Count', ['pod_name'], now => [[{ pod_name: pod.pod_name }, now.ports?.total]])
  gauge(
    'gitlab_runner_hadr_sidecar_available',
    'Whether this runner takes jobs as soon as a slot is free; absent while that is unknown.',
    Object.keys(group),
    ({ verdict: { state } }) => [[group, state === 'unknown' ? undefined : state === 'available']],
  )
  const named = { pod_name: place.podName, pod_namespace: place.podNamespace }
  gauge(
    'gitlab_runner_hadr_sidecar_verdict_info',
    'Always 1; the labels are the verdict on this runner and, unless it is available, the reason.',
    [...Object.keys(named), 'verdict', 'reason'],
    ({ verdict }) => [[{ ...named, verdict: verdict.state, reason: 'reason' in verdict ? verdict.reason : '' }, 1]],
  )
  gauge(
    'gitlab_runner_hadr_sidecar_running_jobs',
    "Jobs that the runner works on now; absent while the runner's metrics are not readable.",
    Object.keys(named),
    now => [[named, now.runningJobs]],
  )
  gauge(
    'gitlab_runner_hadr_sidecar_runner_info',
    "Always 1; the labels join this pod to its runner in GitLab and to the runner's process, one series per runner.",
    ['pod_name', 'pod_namespace', 'runner_id', 'system_id'],
    now =>
      now.runners.map(({ runnerId, systemId }) => [{ ...named, runner_id: String(runnerId), system_id: systemId }, 1]),
  )
  gauge(
    'gitlab_runner_hadr_sidecar_check',
    'Whether a check of the sidecar succeeds; absent where it does not apply or is not settled.',
    ['check'],
    ({ checks }) => Object.keys(CHECKS).map(check => [{ check }, checks[check as Check]]),
  )
  gauge(
    'gitlab_runner_hadr_sidecar_last_contact_timestamp_seconds',
    "When the sidecar last saw the runner's job requests succeed.",
    [],
    now => [[{}, now.lastContactSeconds]],
  )
  gauge(
    'gitlab_runner_hadr_sidecar_gitlab_last_success_timestamp_seconds',
    'When GitLab last answered all that the sidecar asked.',
    [],
    now => [[{}, now.gitlabLastSuccessSeconds]],
  )
}

function registerGauge(
  registry: Registry,
  metric: { name: string; help: string; labelNames: readonly string[] },
  points: () => readonly Point[],
): void {
  new Gauge<string>({
    ...metric,
    registers: [registry],
    collect() {
      this.reset()
      // A gauge without labels resets to 0, and 0 is not unknown.
      if (metric.labelNames.length === 0) this.remove({})
      for (const [labels, value] of points()) {
        const number = Number(value ?? NaN)
        if (Number.isFinite(number)) this.set(labels, number)
      }
    },
  })
}

/** All metrics of a scrape are collected in one turn of the event loop, and are then of the same moment. */
function oncePerTurn<T>(make: () => T): () => T {
  let made: { value: T } | undefined
  return () => {
    if (made === undefined) {
      made = { value: make() }
      queueMicrotask(() => (made = undefined))
    }
    return made.value
  }
}
