import { Counter, Gauge, Histogram, Registry } from 'prom-client'

export type ProcessState = 'starting' | 'running' | 'graceful-shutdown' | 'forceful-shutdown'

/** The labels that most of GitLab Runner's metrics carry. */
export interface RunnerLabels {
  runner: string
  runner_name: string
  system_id: string
}

export interface RunningJob {
  labels: RunnerLabels
  stage: string
}

export type RunnerMetrics = ReturnType<typeof createRunnerMetrics>

const RUNNER = ['runner', 'runner_name', 'system_id'] as const

/**
 * GitLab Runner 19's own metrics: its names, labels and buckets, and like there a series is absent until its first
 * event. Left out are those of Go, of executors that are not imitated, and of the job router.
 */
export function createRunnerMetrics(deps: {
  version: string
  processState: () => ProcessState
  runningJobs: () => Iterable<RunningJob>
}) {
  const registry = new Registry()
  const registers = [registry]
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Counter<Label>({ name: `gitlab_runner_${name}`, help, labelNames: [...labelNames], registers })
  const gauge = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Gauge<Label>({ name: `gitlab_runner_${name}`, help, labelNames: [...labelNames], registers })
  const histogram = <Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    buckets: readonly number[],
  ) =>
    new Histogram<Label>({
      name: `gitlab_runner_${name}`,
      help,
      labelNames: [...labelNames],
      buckets: [...buckets],
      registers,
    })

  gauge('version_info', 'A metric with a constant value 1, labelled by the build.', ['name', 'version']).set(
    { name: 'gitlab-runner', version: deps.version },
    1,
  )
  new Gauge({
    name: 'gitlab_runner_process_state_info',
    help: 'The present state of the process.',
    labelNames: ['state'],
    registers,
    collect() {
      this.reset()
      this.set({ state: deps.processState() }, 1)
    },
  })
  new Gauge({
    name: 'gitlab_runner_jobs',
    help: 'The current number of running builds.',
    labelNames: [...RUNNER, 'state', 'stage', 'executor_stage'],
    registers,
    collect() {
      this.reset()
      for (const { labels, stage } of deps.runningJobs()) {
        this.inc({ ...labels, state: 'running', stage, executor_stage: 'prepare' })
      }
    },
  })
  const errors = counter('errors_total', 'The number of caught errors.', ['level'])
  for (const level of ['warning', 'error', 'fatal', 'panic']) errors.inc({ level }, 0)

  return {
    registry,
    errors,
    concurrent: gauge('concurrent', 'The current value of the concurrent setting.', []),
    limit: gauge('limit', 'The current value of the limit setting.', RUNNER),
    jobs: counter('jobs_total', 'Total number of handled jobs.', RUNNER),
    failedJobs: counter('failed_jobs_total', 'Total number of failed jobs.', [...RUNNER, 'failure_reason', 'mode']),
    jobDuration: histogram(
      'job_duration_seconds',
      'Histogram of job durations.',
      [...RUNNER, 'mode'],
      [30, 60, 300, 600, 1800, 3600, 7200, 10_800, 18_000, 36_000],
    ),
    queueDuration: histogram(
      'job_queue_duration_seconds',
      'How long jobs had waited in the queue when this runner took them.',
      [...RUNNER, 'project_jobs_running'],
      [1, 3, 10, 30, 60, 120, 300, 900, 1800, 3600],
    ),
    queueSize: gauge('job_queue_size', 'Length of the queue when the last job was taken.', RUNNER),
    queueDepth: gauge('job_queue_depth', 'How deep GitLab searched for the last job.', RUNNER),
    statuses: counter('api_request_statuses_total', 'The total number of API requests.', [
      'runner',
      'system_id',
      'endpoint',
      'status',
      'method',
    ]),
    requestDuration: histogram(
      'api_request_duration_seconds',
      'Latency histogram of API requests.',
      ['runner', 'system_id', 'endpoint', 'status_class', 'method'],
      [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    ),
    requestConcurrency: gauge('request_concurrency', 'The current number of requests for a new job.', [
      'runner',
      'system_id',
    ]),
    requestConcurrencyExceeded: counter(
      'request_concurrency_exceeded_total',
      'Count of excess requests above the request_concurrency limit.',
      ['runner', 'system_id'],
    ),
    slots: gauge('worker_slots_number', 'Current number of initialised worker slots.', []),
    feeds: counter('worker_feeds_total', 'Total number of times that a runner was fed to the workers.', RUNNER),
    feedFailures: counter(
      'worker_feed_failures_total',
      'Total number of times that an unhealthy runner was not fed to the workers.',
      RUNNER,
    ),
    processingFailures: counter('worker_processing_failures_total', 'Total number of failures of workers.', [
      'failure_type',
      ...RUNNER,
    ]),
    healthFailures: counter('worker_health_check_failures_total', 'Total number of unhealthy answers.', RUNNER),
  }
}
