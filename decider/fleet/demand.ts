import { fanOut } from '../../lib/gitlab/fan-out.ts'
import type { GitLabFleet } from '../../lib/gitlab/fleet.ts'
import type { InstantResult } from '../../lib/prometheus/answer.ts'
import type { PrometheusClient } from '../../lib/prometheus/client.ts'
import type { Demand, Role } from './desired.ts'
import { type Manager, type ManagersReading, MANAGERS_QUERY, managersOf } from './managers.ts'

/** A look at what the managers of one cluster have to do. */
export interface DemandReading extends Demand {
  managers: readonly Manager[]
  /** What could not be read, in words; empty when all could. */
  gaps: readonly string[]
}

export interface DemandOptions {
  /** This cluster's runners of the pool. */
  runnerIds: readonly number[]
  role: Role
  mainTag: string
  clusterTag: string
  /** More tags that its runners carry. */
  tags: readonly string[]
  /** Projects whose pending jobs count. */
  projects: readonly number[]
  sampleMaxAgeMs: number
  /** Over which the waiting of picked jobs is averaged. */
  queueWindowMs: number
}

export interface DemandDeps {
  prometheus: Pick<PrometheusClient, 'instant'>
  gitlab: Pick<GitLabFleet, 'pendingJobs'>
}

const PROJECTS_AT_ONCE = 4

/**
 * Running jobs from the managers' own metrics. Pending ones from GitLab for the projects that are configured, and by
 * Little's law from how long picked jobs had waited: the seconds waited per second are the jobs that waited on average.
 * The larger number counts. Never rejects; what is missing makes the demand not whole.
 */
export async function readDemand(
  deps: DemandDeps,
  options: DemandOptions,
  signal: AbortSignal,
): Promise<DemandReading> {
  const [reading, queue, listed] = await Promise.all([
    ask(deps.prometheus, MANAGERS_QUERY, signal).then(result => readManagers(result, options)),
    ask(deps.prometheus, queueQuery(options.queueWindowMs), signal),
    readPending(deps.gitlab, options, signal),
  ])
  return demandOf(reading, queue, listed, options.projects.length > 0)
}

/** Pending jobs of configured projects; `whole` false: at least these. */
export interface Pending {
  jobs: number
  whole: boolean
  gaps: readonly string[]
}

/** Puts the three looks together. Pure. */
export function demandOf(
  reading: ManagersReading,
  queue: InstantResult,
  listed: Pending,
  asked: boolean,
): DemandReading {
  const managers = reading.known ? reading.managers : []
  const waited = waitedOf(queue, managers)
  const silent = managers.filter(manager => manager.jobs === undefined).map(manager => manager.pod)
  const gaps = [
    ...(reading.known ? [] : [reading.why]),
    ...(reading.known && !reading.whole ? ['Prometheus answered in part'] : []),
    ...(silent.length > 0 ? [`no fresh sample of the jobs of ${silent.join(', ')}`] : []),
    ...listed.gaps,
    // Without projects the waiting of picked jobs is all there is to tell of those that wait.
    ...(!asked && waited === undefined ? ['nothing tells of waiting jobs: no projects, no queue durations'] : []),
  ]
  return {
    running: managers.reduce((sum, manager) => sum + (manager.jobs ?? 0), 0),
    pending: Math.max(listed.jobs, waited ?? 0),
    whole: gaps.length === 0 && listed.whole,
    managers,
    gaps,
  }
}

export function queueQuery(windowMs: number): string {
  return `sum by (system_id) (rate(gitlab_runner_job_queue_duration_seconds_sum[${Math.round(windowMs)}ms]))`
}

/** Whether a runner with these tags takes a job: it must carry each of the job's. A job without any is left out. */
export function takes(runnerTags: ReadonlySet<string>, jobTags: readonly string[]): boolean {
  return jobTags.length > 0 && jobTags.every(tag => runnerTags.has(tag))
}

/** Undefined unless a manager's own metrics are scraped: the series begin only with the first job that is picked. */
function waitedOf(result: InstantResult, managers: readonly Manager[]): number | undefined {
  const scraped = managers.some(manager => manager.slots !== undefined)
  if (!scraped || (result.kind !== 'complete' && result.kind !== 'empty')) return undefined
  if (result.kind === 'empty') return 0
  const own = new Set(managers.flatMap(manager => manager.systemIds))
  const seconds = result.samples
    .filter(({ labels }) => own.has(labels['system_id'] ?? ''))
    .reduce((sum, { value = 0 }) => sum + value, 0)
  return Math.round(seconds)
}

function readManagers(result: InstantResult, options: DemandOptions): ManagersReading {
  return managersOf(result, { runnerIds: new Set(options.runnerIds), sampleMaxAgeMs: options.sampleMaxAgeMs })
}

async function readPending(
  gitlab: DemandDeps['gitlab'],
  options: DemandOptions,
  signal: AbortSignal,
): Promise<Pending> {
  const tags = new Set([options.clusterTag, ...(options.role === 'active' ? [options.mainTag] : []), ...options.tags])
  const parts = await fanOut(options.projects, PROJECTS_AT_ONCE, async (project): Promise<Pending> => {
    try {
      const { jobs, whole } = await gitlab.pendingJobs(project, signal)
      return { jobs: jobs.filter(job => takes(tags, job.tags)).length, whole, gaps: [] }
    } catch (error) {
      return { jobs: 0, whole: false, gaps: [error instanceof Error ? error.message : String(error)] }
    }
  })
  return {
    jobs: parts.reduce((sum, part) => sum + part.jobs, 0),
    whole: parts.every(part => part.whole),
    gaps: parts.flatMap(part => part.gaps),
  }
}

async function ask(prometheus: DemandDeps['prometheus'], query: string, signal: AbortSignal): Promise<InstantResult> {
  try {
    return await prometheus.instant(query, signal)
  } catch (error) {
    return { kind: 'unavailable', message: error instanceof Error ? error.message : String(error) }
  }
}
