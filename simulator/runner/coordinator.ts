import { withDeadline, type Clock } from '../../lib/service/clock.ts'
import type { HttpRequest, HttpResponse, HttpTransport } from '../../lib/http/transport.ts'
import type { RunnerMetrics } from './metrics.ts'

/** What GitLab hands out with 201, reduced to what the imitation uses. */
export interface JobPayload {
  id: number
  token: string
  job_info?: {
    time_in_queue_seconds?: number
    project_jobs_running_on_instance_runners_count?: string
    queue_size?: number
    queue_depth?: number
  }
  variables?: readonly { key: string; value: string }[]
}

export type JobState = 'running' | 'success' | 'failed'

export type JobRequestResult =
  | { kind: 'job'; job: JobPayload }
  | { kind: 'none' }
  /** GitLab refused this runner, or there was no answer: what GitLab Runner's breaker counts. */
  | { kind: 'unhealthy'; why: string }
  /** A 5xx, 409 or the like: passing, not counted. */
  | { kind: 'failed'; status: number }

export interface JobUpdateResult {
  /** `abort`: GitLab does not want this job run (any more). `failed`: try again. */
  kind: 'ok' | 'abort' | 'canceling' | 'failed'
  /** The interval that GitLab asks for between updates. */
  intervalMs?: number
}

/** GitLab as a runner manager sees it: three calls, with a runner's or a job's token. */
export interface Coordinator {
  requestJob(signal: AbortSignal): Promise<JobRequestResult>
  appendTrace(job: JobPayload, offset: number, text: string): Promise<JobUpdateResult>
  updateJob(job: JobPayload, state: JobState, failureReason?: string): Promise<JobUpdateResult>
}

export interface CoordinatorOptions {
  gitlabUrl: string
  token: string
  shortToken: string
  systemId: string
  name: string
  version: string
  /** False: asks as if it had never been told a `last_update`, so that GitLab never holds the request. */
  longPoll: boolean
  transport: HttpTransport
  clock: Clock
  metrics: RunnerMetrics
}

/** Longer than the 50 s for which GitLab holds a request. */
const DEADLINE_MS = 90_000
const MAX_ANSWER_BYTES = 4 * 1024 * 1024

export function createCoordinator(options: CoordinatorOptions): Coordinator {
  const { token, shortToken, systemId, name, version, longPoll, transport, clock, metrics } = options
  const api = `${options.gitlabUrl.replace(/\/+$/, '').replace(/\/api\/v4$/, '')}/api/v4`
  const userAgent = `gitlab-runner ${version} (simulated; linux/amd64)`
  const info = {
    name,
    version,
    revision: 'simulated',
    platform: 'linux',
    architecture: 'amd64',
    executor: 'kubernetes',
  }
  let lastUpdate = ''

  /** Undefined when there is no answer; GitLab Runner counts such a request in none of its status metrics. */
  async function call(
    endpoint: 'request_job' | 'update_job' | 'patch_trace',
    request: Pick<HttpRequest, 'method' | 'url' | 'headers' | 'body'>,
    signal?: AbortSignal,
  ): Promise<HttpResponse | undefined> {
    const startMs = clock.monotonicMs()
    try {
      const headers = { accept: 'application/json', 'user-agent': userAgent, ...request.headers }
      const response = await withDeadline(
        clock,
        DEADLINE_MS,
        deadline => transport({ ...request, headers, signal: deadline, maxResponseBytes: MAX_ANSWER_BYTES }),
        signal,
      )
      const labels = { runner: shortToken, system_id: systemId, endpoint, method: request.method.toLowerCase() }
      metrics.statuses.inc({ ...labels, status: response.status })
      const seconds = (clock.monotonicMs() - startMs) / 1000
      metrics.requestDuration.observe({ ...labels, status_class: `${Math.floor(response.status / 100)}xx` }, seconds)
      return response
    } catch {
      return undefined
    }
  }

  const json = { 'content-type': 'application/json' }

  return {
    requestJob: async signal => {
      const body = JSON.stringify({ info, token, system_id: systemId, ...(longPoll && { last_update: lastUpdate }) })
      const answer = await call(
        'request_job',
        { method: 'POST', url: `${api}/jobs/request`, headers: json, body },
        signal,
      )
      if (answer === undefined) return { kind: 'unhealthy', why: 'no answer' }
      lastUpdate = answer.headers['x-gitlab-last-update'] ?? lastUpdate
      switch (answer.status) {
        case 201: {
          const job = readJob(answer.body)
          return job ? { kind: 'job', job } : { kind: 'unhealthy', why: 'an answer that is no job' }
        }
        case 204:
          return { kind: 'none' }
        case 403:
          return { kind: 'unhealthy', why: 'GitLab refused the runner (403)' }
        default:
          return { kind: 'failed', status: answer.status }
      }
    },
    appendTrace: async (job, offset, text) => {
      const end = offset + Buffer.byteLength(text) - 1
      const headers = { 'content-type': 'text/plain', 'content-range': `${offset}-${end}`, 'job-token': job.token }
      const request = { method: 'PATCH', url: `${api}/jobs/${job.id}/trace`, headers, body: text } as const
      return updateResult(await call('patch_trace', request))
    },
    updateJob: async (job, state, failureReason) => {
      const update = {
        info,
        token: job.token,
        state,
        ...(failureReason !== undefined && { failure_reason: failureReason }),
        ...(state === 'failed' && { exit_code: 1 }),
      }
      const request = {
        method: 'PUT',
        url: `${api}/jobs/${job.id}`,
        headers: json,
        body: JSON.stringify(update),
      } as const
      return updateResult(await call('update_job', request))
    },
  }
}

function updateResult(answer: HttpResponse | undefined): JobUpdateResult {
  if (answer === undefined) return { kind: 'failed' }
  const jobStatus = answer.headers['job-status']
  const seconds = Number(answer.headers['x-gitlab-trace-update-interval'])
  const interval = seconds > 0 ? { intervalMs: seconds * 1000 } : {}
  if (answer.status === 403 || answer.status === 404) return { kind: 'abort' }
  if (answer.status !== 200 && answer.status !== 202) return { kind: 'failed', ...interval }
  if (jobStatus === 'canceled' || jobStatus === 'failed') return { kind: 'abort', ...interval }
  return { kind: jobStatus === 'canceling' ? 'canceling' : 'ok', ...interval }
}

function readJob(body: string): JobPayload | undefined {
  try {
    const job: unknown = JSON.parse(body)
    return isJob(job) ? job : undefined
  } catch {
    return undefined
  }
}

function isJob(value: unknown): value is JobPayload {
  if (typeof value !== 'object' || value === null) return false
  return 'id' in value && typeof value.id === 'number' && 'token' in value && typeof value.token === 'string'
}
