import type { GitLabFleet } from '../../lib/gitlab/fleet.ts'
import type { InstantResult, Labels, Sample } from '../../lib/prometheus/answer.ts'
import { freshKeys, groupByKind, keyOf } from '../observe/capacity.ts'

/** One runner manager: a pod whose sidecar or whose runner Prometheus scrapes. */
export interface Manager {
  namespace: string
  pod: string
  /** Of its runner processes, as GitLab knows them. */
  systemIds: readonly string[]
  runnerIds: readonly number[]
  /** Running now; undefined: no fresh sample tells. */
  jobs: number | undefined
  /** Jobs it runs at once; undefined: its own metrics are not scraped. */
  slots: number | undefined
}

export type ManagersReading =
  { known: true; managers: readonly Manager[]; whole: boolean } | { known: false; why: string }

/** GitLab Runner's own metrics, and what the sidecar says of the same pod. The key is the part's label `hadr_kind`. */
const PARTS = {
  info: 'gitlab_runner_hadr_sidecar_runner_info',
  told: 'gitlab_runner_hadr_sidecar_running_jobs',
  jobs: 'gitlab_runner_jobs',
  limit: 'gitlab_runner_limit',
  concurrent: 'gitlab_runner_concurrent',
} as const
type Part = keyof typeof PARTS

/** One query for everything, so that all numbers are of one instant; counted here and not in PromQL. */
export const MANAGERS_QUERY = Object.entries(PARTS)
  .flatMap(([kind, name]) => [
    `label_replace(${name}, "hadr_kind", "${kind}", "", "")`,
    `label_replace(timestamp(${name}), "hadr_kind", "${kind}_at", "", "")`,
  ])
  .join(' or ')

export interface ManagersOptions {
  /** This cluster's runners of the pool. */
  runnerIds: ReadonlySet<number>
  sampleMaxAgeMs: number
}

/**
 * This cluster's managers from one answer of Prometheus. Pure. Only fresh samples count. The series of running jobs exists
 * only while jobs run: no job is known to run where a fresh series tells that the process is scraped at all.
 */
export function managersOf(result: InstantResult, { runnerIds, sampleMaxAgeMs }: ManagersOptions): ManagersReading {
  if (result.kind === 'empty') return { known: false, why: 'Prometheus knows no runner and no sidecar' }
  if (result.kind !== 'complete' && result.kind !== 'partial') {
    return { known: false, why: `Prometheus: ${result.message}` }
  }
  const oldestMs = (result.evaluatedAtMs ?? Infinity) - sampleMaxAgeMs
  const groups = groupByKind(result.samples)
  const fresh = (part: Part): Sample[] => {
    const keys = freshKeys(groups.get(`${part}_at`), oldestMs)
    return (groups.get(part) ?? []).filter(sample => sample.value !== undefined && keys.has(keyOf(sample)))
  }

  const pods = new Map<string, { systemIds: Set<string>; runnerIds: Set<number>; labels: Labels }>()
  for (const { labels } of fresh('info')) {
    const pod = pods.get(podKey(labels)) ?? { systemIds: new Set(), runnerIds: new Set(), labels }
    pod.systemIds.add(labels['system_id'] ?? '')
    pod.runnerIds.add(Number(labels['runner_id']))
    pods.set(podKey(labels), pod)
  }
  const told = new Map(fresh('told').map(({ labels, value }) => [podKey(labels), value]))
  const processes = readProcesses(fresh('limit'), fresh('jobs'), fresh('concurrent'))
  const managers = [...pods]
    .filter(([, pod]) => [...pod.runnerIds].some(id => runnerIds.has(id)))
    .map(([key, pod]) => {
      const own = [...pod.systemIds].flatMap(id => processes.get(id) ?? [])
      return {
        namespace: pod.labels['pod_namespace'] ?? '',
        pod: pod.labels['pod_name'] ?? '',
        systemIds: [...pod.systemIds],
        runnerIds: [...pod.runnerIds],
        jobs: greatest([told.get(key), ...own.map(process => process.jobs)]),
        slots: greatest(own.map(process => process.slots)),
      }
    })
  if (managers.length === 0) return { known: false, why: 'Prometheus has no fresh sample of a manager of this cluster' }
  return { known: true, managers, whole: result.kind === 'complete' }
}

interface Process {
  jobs: number
  slots: number | undefined
}

/** By system id. `gitlab_runner_concurrent` does not carry it, so that it is found by the target of its neighbours. */
function readProcesses(
  limits: readonly Sample[],
  jobs: readonly Sample[],
  concurrents: readonly Sample[],
): Map<string, Process> {
  const concurrent = new Map(concurrents.map(({ labels, value }) => [targetKey(labels), value]))
  const found = new Map<string, { jobs: number; limits: number[]; concurrent: number | undefined }>()
  for (const { labels, value = 0 } of limits) {
    const id = labels['system_id'] ?? ''
    const process = found.get(id) ?? { jobs: 0, limits: [], concurrent: concurrent.get(targetKey(labels)) }
    process.limits.push(value)
    found.set(id, process)
  }
  for (const { labels, value = 0 } of jobs) {
    const id = labels['system_id'] ?? ''
    const process = found.get(id) ?? { jobs: 0, limits: [], concurrent: concurrent.get(targetKey(labels)) }
    process.jobs += value
    found.set(id, process)
  }
  return new Map([...found].map(([id, process]) => [id, { jobs: process.jobs, slots: slotsOf(process) }]))
}

/** A limit of 0 is none; with a limit on each section their sum counts when `concurrent` is larger. */
function slotsOf({ limits, concurrent }: { limits: readonly number[]; concurrent: number | undefined }) {
  if (concurrent === undefined || concurrent < 1) return undefined
  const limited = limits.length > 0 && limits.every(limit => limit > 0)
  return limited
    ? Math.min(
        concurrent,
        limits.reduce((sum, limit) => sum + limit, 0),
      )
    : concurrent
}

function greatest(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter(value => value !== undefined)
  return known.length === 0 ? undefined : Math.max(...known)
}

function podKey(labels: Labels): string {
  return `${labels['pod_namespace'] ?? ''}/${labels['pod_name'] ?? ''}`
}

function targetKey(labels: Labels): string {
  return `${labels['job'] ?? ''} ${labels['instance'] ?? ''}`
}

/** Running jobs of a pod; undefined: nobody knows. */
export type JobsOf = (namespace: string, pod: string) => number | undefined

/** Running jobs by pod; a manager that GitLab knows to be busy has at least one. */
export function jobsIn(managers: readonly Manager[], busy: ReadonlySet<string> = new Set()): JobsOf {
  const jobs = new Map(
    managers.map(manager => {
      const atLeast = manager.systemIds.some(id => busy.has(id)) ? 1 : 0
      return [
        `${manager.namespace}/${manager.pod}`,
        manager.jobs === undefined ? undefined : Math.max(manager.jobs, atLeast),
      ]
    }),
  )
  return (namespace, pod) => jobs.get(`${namespace}/${pod}`)
}

/** System ids of managers that GitLab calls active. Throws when GitLab does not answer: nothing is given up then. */
export async function busyIn(
  gitlab: Pick<GitLabFleet, 'managers'>,
  managers: readonly Manager[],
  signal: AbortSignal,
): Promise<Set<string>> {
  const runners = [...new Set(managers.flatMap(manager => manager.runnerIds))]
  const lists = await Promise.all(runners.map(runner => gitlab.managers(runner, signal)))
  return new Set(
    lists
      .flat()
      .filter(({ busy }) => busy)
      .map(({ systemId }) => systemId),
  )
}

/** The smallest, so that the slots that are reckoned with are there. */
export function leastSlots(managers: readonly Manager[]): number | null {
  const known = managers.map(manager => manager.slots).filter(slots => slots !== undefined)
  return known.length === 0 ? null : Math.min(...known)
}
