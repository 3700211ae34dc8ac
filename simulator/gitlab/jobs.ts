import type { Random } from '../../lib/service/clock.ts'
import { isOnline } from './contacts.ts'
import type { Job, JobStatus, Project, Runner } from './model.ts'
import type { Observation } from './observation.ts'
import type { RunnerQueue } from './queue.ts'
import type { Store } from './store.ts'
import { uniqueHex, type GitLabTiming, type ServerTime } from './timing.ts'

/** A new job wakes only runners whose column is younger than the online timeout plus the life of a queue key. */
const recentMs = (timing: GitLabTiming) => timing.onlineTimeoutMs + timing.queueKeyTtlMs
/** Finished jobs beyond this many are forgotten, oldest first. */
const MAX_FINISHED_JOBS = 20_000

export interface NewJob {
  project: Project
  name?: string
  tags: readonly string[]
  protected?: boolean
  durationMs?: number
}

export interface JobDeskDeps {
  store: Store
  queue: RunnerQueue
  observation: Observation
  time: ServerTime
  timing: GitLabTiming
  random: Random
}

/** The life of CI jobs: matched to runners when these ask, failed when nobody comes or the one who came is gone. */
export class JobDesk {
  readonly #deps: JobDeskDeps
  /** In the order of their ids: first in, first out. */
  readonly #pending = new Set<Job>()
  readonly #running = new Set<Job>()
  readonly #finished: Job[] = []

  constructor(deps: JobDeskDeps) {
    this.#deps = deps
  }

  get queueSize(): number {
    return this.#pending.size
  }

  add(wanted: NewJob): Job {
    const { store, time, random } = this.#deps
    const id = store.nextId('job')
    const nowMs = time.nowMs()
    const job: Job = {
      id,
      token: `glcbt-${uniqueHex(random, id, 20)}`,
      name: wanted.name ?? `job-${id}`,
      projectId: wanted.project.id,
      tags: [...new Set(wanted.tags)].sort(),
      protected: wanted.protected ?? false,
      durationMs: wanted.durationMs ?? 0,
      createdAtMs: nowMs,
      status: 'pending',
      runnerId: null,
      systemId: null,
      startedAtMs: null,
      finishedAtMs: null,
      updatedAtMs: nowMs,
      failureReason: null,
      exitCode: null,
      trace: '',
    }
    store.jobs.set(id, job)
    this.#pending.add(job)
    this.#deps.observation.jobChange({ atMs: nowMs, job, before: null, after: 'pending' })
    this.#wakeMatching(job, wanted.project)
    return job
  }

  /** The oldest pending job that this runner may take, now running there; undefined when there is none. */
  pick(runner: Runner, systemId: string): Job | undefined {
    for (const job of this.#pending) {
      if (!this.matches(runner, job)) continue
      job.runnerId = runner.id
      job.systemId = systemId
      job.startedAtMs = this.#deps.time.nowMs()
      this.#move(job, 'running')
      return job
    }
    return undefined
  }

  /** The job's tags must all be on the runner; an untagged job needs `run_untagged`. */
  matches(runner: Runner, job: Job): boolean {
    if (job.tags.length === 0 && !runner.runUntagged) return false
    if (!job.tags.every(tag => runner.tags.includes(tag))) return false
    if (runner.accessLevel === 'ref_protected' && !job.protected) return false
    const project = this.#deps.store.projects.get(job.projectId)
    return project !== undefined && this.#deps.store.serves(runner, project)
  }

  finish(
    job: Job,
    status: 'success' | 'failed' | 'canceled',
    more: { failureReason?: string; exitCode?: number } = {},
  ): void {
    job.finishedAtMs = this.#deps.time.nowMs()
    job.failureReason = status === 'failed' ? (more.failureReason ?? 'unknown_failure') : null
    job.exitCode = more.exitCode ?? null
    this.#move(job, status)
  }

  touch(job: Job): void {
    job.updatedAtMs = this.#deps.time.nowMs()
  }

  isRunningOn(runner: Runner, systemId?: string): boolean {
    return [...this.#running].some(
      job => job.runnerId === runner.id && (systemId === undefined || job.systemId === systemId),
    )
  }

  runningInProject(projectId: number): number {
    return [...this.#running].filter(job => job.projectId === projectId).length
  }

  /** What GitLab's hourly worker does; both rules look at the age at the moment when it runs, and at nothing else. */
  dropStuck(): void {
    const { time, timing } = this.#deps
    const nowMs = time.nowMs()
    for (const job of this.#pending) {
      const ageMs = nowMs - job.createdAtMs
      const matched = this.#hasOnlineRunner(job)
      if (!matched && ageMs > timing.stuckAfterMs) {
        this.finish(job, 'failed', { failureReason: 'stuck_pending_no_matching_runners' })
      } else if (matched && ageMs > timing.stuckWithRunnersAfterMs) {
        this.finish(job, 'failed', { failureReason: 'stuck_pending_with_matching_runners' })
      }
    }
    for (const job of this.#running) {
      if (nowMs - job.updatedAtMs > timing.outdatedJobAfterMs) {
        this.finish(job, 'failed', { failureReason: 'stuck_or_timeout_failure' })
      }
    }
  }

  #hasOnlineRunner(job: Job): boolean {
    const { store, time, timing } = this.#deps
    return [...store.runners.values()].some(
      runner => !runner.paused && isOnline(runner, time.nowMs(), timing) === true && this.matches(runner, job),
    )
  }

  #wakeMatching(job: Job, project: Project): void {
    const { store, queue, time, timing } = this.#deps
    for (const runner of store.runners.values()) {
      const { columnMs } = runner.contact
      const recent = columnMs !== null && time.nowMs() - columnMs < recentMs(timing)
      if (recent && store.serves(runner, project) && this.matches(runner, job)) queue.tick(runner.token)
    }
  }

  #move(job: Job, status: Exclude<JobStatus, 'pending'>): void {
    const before = job.status
    job.status = status
    this.touch(job)
    this.#pending.delete(job)
    if (status === 'running') {
      this.#running.add(job)
    } else {
      this.#running.delete(job)
      this.#finished.push(job)
      if (this.#finished.length > MAX_FINISHED_JOBS) {
        const oldest = this.#finished.shift()
        if (oldest) this.#deps.store.jobs.delete(oldest.id)
      }
    }
    this.#deps.observation.jobChange({ atMs: job.updatedAtMs, job, before, after: status })
  }
}
