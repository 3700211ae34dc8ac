import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { STORE_OPERATIONS, type StoreOperation } from './store.ts'

const PREFIX = 'gitlab_runner_hadr_decider_job_metrics'

/** `failed`: Prometheus did not answer, whatever was tried; `dropped`: there were too many at once. */
export const RESULTS = ['collected', 'failed', 'dropped'] as const
export const PACKAGE_RESULTS = ['stored', 'failed'] as const
export const STATUSES = [200, 400, 401, 403, 404, 503] as const

/** The metrics of the part that keeps jobs' metrics; only there where it is configured. */
export function createJobsMetrics(registry: Registry, queries: readonly string[]) {
  const registers = [registry]
  const gauge = (name: string, help: string) => new Gauge({ name: `${PREFIX}_${name}`, help, registers })
  const counter = (name: string, help: string, labelNames: string[]) =>
    new Counter({ name: `${PREFIX}_${name}`, help, labelNames, registers })

  const jobs = counter('jobs_total', 'Jobs that ended, by what became of their metrics.', ['result'])
  const failures = counter('query_failures_total', 'Queries that Prometheus refused or did not answer.', ['query'])
  const errors = counter('disk_errors_total', 'Failures of the folder where metrics are kept.', ['operation'])
  const packages = counter('packages_total', 'Uploads to the package registry of the HADR project.', ['result'])
  const requests = counter('requests_total', 'Requests for the metrics of a job.', ['status'])
  const collecting = new Histogram({
    name: `${PREFIX}_collect_seconds`,
    help: 'Duration of asking Prometheus for all metrics of one job.',
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers,
  })
  const queue = gauge('queue_length', 'Ended jobs whose metrics are not collected yet.')
  const running = gauge('running_pods', 'Pods of jobs that run now.')
  const storedJobs = gauge('stored_jobs', 'Jobs whose metrics are kept on disk.')
  const storedBytes = gauge('stored_bytes', 'Size of what is kept on disk.')

  for (const result of RESULTS) jobs.inc({ result }, 0)
  for (const query of queries) failures.inc({ query }, 0)
  for (const operation of STORE_OPERATIONS) errors.inc({ operation }, 0)
  for (const result of PACKAGE_RESULTS) packages.inc({ result }, 0)
  for (const status of STATUSES) requests.inc({ status }, 0)

  return {
    job: (result: (typeof RESULTS)[number]) => jobs.inc({ result }),
    queryFailed: (query: string) => failures.inc({ query }),
    diskError: (operation: StoreOperation) => errors.inc({ operation }),
    package: (result: (typeof PACKAGE_RESULTS)[number]) => packages.inc({ result }),
    request: (status: (typeof STATUSES)[number]) => requests.inc({ status }),
    collectedIn: (seconds: number) => collecting.observe(seconds),
    level: (levels: { queue: number; running: number; jobs: number; bytes: number }) => {
      queue.set(levels.queue)
      running.set(levels.running)
      storedJobs.set(levels.jobs)
      storedBytes.set(levels.bytes)
    },
  }
}

export type JobsMetrics = ReturnType<typeof createJobsMetrics>
