import type { Clock, Random } from '../../lib/service/clock.ts'
import type { Log } from '../../lib/service/log.ts'
import type { Coordinator, JobPayload } from './coordinator.ts'
import { createHealth } from './health.ts'
import { runJob } from './job.ts'
import type { RunnerLabels, RunnerMetrics, RunningJob } from './metrics.ts'

/** One `[[runners]]` section. */
export interface RunnerEntry {
  labels: RunnerLabels
  coordinator: Coordinator
  /** Most jobs at once; 0 for no limit but `concurrent`. */
  limit: number
}

export interface ManagerOptions {
  entries: readonly RunnerEntry[]
  concurrent: number
  checkIntervalMs: number
  breakerMs: number
  jobDurationMs: number
  /** The runner's own time. */
  clock: Clock
  random: Random
  log: Log
  metrics: RunnerMetrics
  running: Set<RunningJob>
}

export interface Manager {
  /** Asks for no more jobs; resolves when the last one is done. */
  drain(): Promise<void>
  /** Gives running jobs up as failed; resolves when GitLab was told. */
  abort(): Promise<void>
}

/**
 * GitLab Runner's scheduling (its `commands/multi.go`): a feeder offers each entry in turn to `concurrent` workers and
 * waits while all are busy; a worker asks GitLab once and runs what it gets; whoever got a job lets another worker ask again
 * at once. One request for a job per entry at a time (`request_concurrency` 1).
 */
export function startManager(options: ManagerOptions): Manager {
  const { entries, concurrent, checkIntervalMs, clock, random, log, metrics, running } = options
  const stopping = new AbortController()
  const aborting = new AbortController()
  const workers = new Set<Promise<void>>()
  let onFree: () => void = () => undefined

  const states = new Map(
    entries.map(entry => [
      entry,
      { health: createHealth(options.breakerMs, clock.monotonicMs()), requesting: false, jobs: 0 },
    ]),
  )
  type State = NonNullable<ReturnType<typeof states.get>>
  metrics.concurrent.set(concurrent)
  metrics.slots.set(concurrent)
  for (const { labels, limit } of entries) metrics.limit.set({ ...labels }, limit)

  async function feed(): Promise<void> {
    while (!stopping.signal.aborted) {
      for (const [entry, state] of states) {
        if (!state.health.isHealthy(clock.monotonicMs())) {
          metrics.feedFailures.inc({ ...entry.labels })
        } else {
          metrics.feeds.inc({ ...entry.labels })
          await freeWorker()
          startWorker(entry, state)
        }
        await clock.sleep(checkIntervalMs / entries.length, stopping.signal).catch(() => undefined)
      }
    }
  }

  async function freeWorker(): Promise<void> {
    while (workers.size >= concurrent && !stopping.signal.aborted) {
      await new Promise<void>(resolve => {
        onFree = resolve
      })
    }
  }

  function startWorker(entry: RunnerEntry, state: State): void {
    if (stopping.signal.aborted || workers.size >= concurrent) return
    const worker = work(entry, state)
      .catch((error: unknown) => log.error({ err: error }, 'a worker failed'))
      .finally(() => {
        workers.delete(worker)
        onFree()
      })
    workers.add(worker)
  }

  async function work(entry: RunnerEntry, state: State): Promise<void> {
    if (entry.limit > 0 && state.jobs >= entry.limit) return
    if (state.requesting) {
      metrics.requestConcurrencyExceeded.inc(ofRequests(entry))
      return
    }
    state.jobs++
    try {
      const job = await requestJob(entry, state)
      if (job === undefined) return
      startWorker(entry, state)
      await process(entry, job)
    } finally {
      state.jobs--
    }
  }

  async function requestJob(entry: RunnerEntry, state: State): Promise<JobPayload | undefined> {
    state.requesting = true
    metrics.requestConcurrency.inc(ofRequests(entry))
    const result = await entry.coordinator.requestJob(stopping.signal)
    state.requesting = false
    metrics.requestConcurrency.dec(ofRequests(entry))
    if (result.kind === 'job') {
      state.health.mark(true, clock.monotonicMs())
      return result.job
    }
    if (stopping.signal.aborted) return undefined
    state.health.mark(result.kind !== 'unhealthy', clock.monotonicMs())
    const fields = { runner: entry.labels.runner }
    if (result.kind === 'unhealthy') {
      metrics.healthFailures.inc({ ...entry.labels })
      metrics.errors.inc({ level: 'error' })
      log.error(fields, `asked for a job: ${result.why}`)
    } else if (result.kind === 'failed') {
      metrics.errors.inc({ level: 'warning' })
      log.warn(fields, `asked for a job: status ${result.status}`)
    }
    return undefined
  }

  async function process({ labels, coordinator }: RunnerEntry, job: JobPayload): Promise<void> {
    const entryOfJob: RunningJob = { labels, stage: 'step_script' }
    const startMs = clock.monotonicMs()
    const info = job.job_info ?? {}
    running.add(entryOfJob)
    metrics.jobs.inc({ ...labels })
    metrics.queueDuration.observe(
      { ...labels, project_jobs_running: info.project_jobs_running_on_instance_runners_count ?? '' },
      info.time_in_queue_seconds ?? 0,
    )
    metrics.queueSize.set({ ...labels }, info.queue_size ?? 0)
    metrics.queueDepth.set({ ...labels }, info.queue_depth ?? 0)
    log.info({ job: job.id, runner: labels.runner }, 'took a job')
    try {
      const deps = { coordinator, clock, random, defaultDurationMs: options.jobDurationMs }
      const outcome = await runJob(job, deps, aborting.signal)
      if (outcome.kind === 'failed') {
        metrics.failedJobs.inc({ ...labels, failure_reason: outcome.reason, mode: 'traditional' })
        metrics.processingFailures.inc({ ...labels, failure_type: 'job_failure' })
      }
      log.info({ job: job.id, runner: labels.runner, outcome: outcome.kind }, 'finished a job')
    } finally {
      running.delete(entryOfJob)
      metrics.jobDuration.observe({ ...labels, mode: 'traditional' }, (clock.monotonicMs() - startMs) / 1000)
    }
  }

  const feeding = feed()
  const drain = async () => {
    stopping.abort(new Error('the runner stops'))
    onFree()
    await feeding
    while (workers.size > 0) await Promise.all(workers)
    metrics.slots.set(0)
  }
  return {
    drain,
    abort: () => {
      aborting.abort(new Error('the runner was told to end'))
      return drain()
    },
  }
}

function ofRequests({ labels }: RunnerEntry) {
  return { runner: labels.runner, system_id: labels.system_id }
}
