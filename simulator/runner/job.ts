import type { Clock, Random } from '../../lib/service/clock.ts'
import type { Coordinator, JobPayload } from './coordinator.ts'

/** `dropped`: GitLab did not want it any more; nothing is reported then. */
export type JobOutcome = { kind: 'success' } | { kind: 'failed'; reason: string } | { kind: 'dropped' }

export interface JobDeps {
  coordinator: Coordinator
  /** The runner's own time. */
  clock: Clock
  random: Random
  /** How long a job takes that does not say so itself. */
  defaultDurationMs: number
}

const UPDATE_INTERVAL_MS = 3_000
const FINAL_UPDATE_TRIES = 10

/**
 * Plays one job: its script lasts as long as the variable `SIMULATED_DURATION_MS` says, and fails if `SIMULATED_FAILURE`
 * names a failure reason. Keeps GitLab informed as GitLab Runner does, and ends early when GitLab or `abort` says so.
 */
export async function runJob(job: JobPayload, deps: JobDeps, abort: AbortSignal): Promise<JobOutcome> {
  const { coordinator, clock, defaultDurationMs } = deps
  const startMs = clock.monotonicMs()
  const duration = Number(variable(job, 'SIMULATED_DURATION_MS'))
  const endMs = startMs + (duration >= 0 ? duration : defaultDurationMs)
  const trace = createTrace(job, coordinator)

  let result = await coordinator.updateJob(job, 'running')
  if (result.kind === 'abort') return { kind: 'dropped' }
  trace.write('Running with a simulated gitlab-runner\n')

  while (result.kind !== 'canceling') {
    const leftMs = endMs - clock.monotonicMs()
    // Rounding may leave a fraction of a millisecond.
    if (leftMs < 1 || abort.aborted) break
    const sent = await trace.send()
    result = sent.kind === 'nothing' ? await coordinator.updateJob(job, 'running') : sent
    if (result.kind === 'abort') return { kind: 'dropped' }
    const waitMs = Math.min(result.intervalMs ?? UPDATE_INTERVAL_MS, endMs - clock.monotonicMs())
    await clock.sleep(Math.max(0, waitMs), abort).catch(() => undefined)
  }

  const failure = abort.aborted
    ? 'runner_system_failure'
    : result.kind === 'canceling'
      ? 'job_canceled'
      : variable(job, 'SIMULATED_FAILURE')
  trace.write(failure === undefined ? 'Job succeeded\n' : `ERROR: Job failed: ${failure}\n`)
  await trace.send()
  return report(job, failure, deps)
}

/** Tries for some minutes, as long as GitLab is away; then GitLab fails the job by itself. */
async function report(job: JobPayload, failure: string | undefined, deps: JobDeps): Promise<JobOutcome> {
  const { coordinator, clock, random } = deps
  const state = failure === undefined ? 'success' : 'failed'
  for (let attempt = 0; attempt < FINAL_UPDATE_TRIES; attempt++) {
    const { kind } = await coordinator.updateJob(job, state, failure)
    if (kind === 'abort') return { kind: 'dropped' }
    if (kind !== 'failed') break
    await clock.sleep(Math.min(60_000, 1_000 * 2 ** attempt) * (0.5 + random() / 2))
  }
  return failure === undefined ? { kind: 'success' } : { kind: 'failed', reason: failure }
}

function createTrace(job: JobPayload, coordinator: Coordinator) {
  let text = ''
  let sentBytes = 0
  return {
    write: (line: string) => {
      text += line
    },
    /** What is not sent remains for the next time. */
    send: async () => {
      if (text === '') return { kind: 'nothing' } as const
      const part = text
      const result = await coordinator.appendTrace(job, sentBytes, part)
      if (result.kind !== 'failed') {
        text = text.slice(part.length)
        sentBytes += Buffer.byteLength(part)
      }
      return result
    },
  }
}

function variable(job: JobPayload, name: string): string | undefined {
  return job.variables?.find(({ key }) => key === name)?.value
}
