import { withDeadline, type Clock } from '../lib/service/clock.ts'
import { TransportError, type HttpTransport } from '../lib/http/transport.ts'
import { parseExposition, type Sample } from './exposition.ts'

/** GitLab Runner's process states, `gitlab_runner_process_state_info{state}`. */
export const PROCESS_STATES = ['starting', 'running', 'graceful-shutdown', 'forceful-shutdown'] as const
export type ProcessState = (typeof PROCESS_STATES)[number]

/** One `[[runners]]` entry of the runner's configuration, as its own metrics show it. */
export interface RunnerEntry {
  /** First nine characters of the token without its prefix; identifies the entry within the process. */
  shortToken: string
  /** `system_id` of the process: the same for all its entries, another one in each pod. Empty on old versions. */
  systemId: string
  /** Running jobs that this entry accounts for. */
  running: number
  /** `limit`: most jobs at once; undefined where the configuration sets none. */
  limit?: number
  /** Counters since the process started. */
  counters: ContactCounters
}

/** What the job requests of one entry came to, since the process started. */
export interface ContactCounters {
  /** Answers 201 (a job) and 204 (none): GitLab knows the runner and serves it. */
  good: number
  /** Answers 403: GitLab does not accept the runner any more. */
  refused: number
  /**
   * Unhealthy answers and, once three in a row have tripped the runner's circuit breaker, the rounds in which it did
   * not even ask (it sits out an hour).
   */
  unhealthy: number
}

/** One reading of the runner's metrics. */
export interface RunnerSample {
  /** Absent on versions that do not tell. */
  process?: ProcessState
  /** True when another job finds no slot in the whole process (`concurrent`). */
  processFull: boolean
  entries: readonly RunnerEntry[]
}

/**
 * `refused`: nothing listens there. `silent`: no whole answer in time. `foreign`: something else than a GitLab Runner,
 * or not a sound exposition.
 */
export type RunnerReading =
  { state: 'answering'; sample: RunnerSample } | { state: 'refused' | 'silent' | 'foreign'; problem: string }

const DEADLINE_MS = 2_000
const MAX_BYTES = 8 * 1024 * 1024

const families = {
  state: 'gitlab_runner_process_state_info',
  version: 'gitlab_runner_version_info',
  concurrent: 'gitlab_runner_concurrent',
  limit: 'gitlab_runner_limit',
  jobs: 'gitlab_runner_jobs',
  statuses: 'gitlab_runner_api_request_statuses_total',
  unhealthy: 'gitlab_runner_worker_health_check_failures_total',
  unfed: 'gitlab_runner_worker_feed_failures_total',
} as const
const wanted: ReadonlySet<string> = new Set(Object.values(families))

/** Reads the runner's metrics once, within two seconds. Rejects only when `signal` aborts. */
export async function readRunner(
  deps: { transport: HttpTransport; clock: Clock; url: string },
  signal?: AbortSignal,
): Promise<RunnerReading> {
  try {
    const { status, body } = await withDeadline(
      deps.clock,
      DEADLINE_MS,
      deadline =>
        deps.transport({
          method: 'GET',
          url: deps.url,
          headers: { accept: 'text/plain; version=0.0.4' },
          signal: deadline,
          maxResponseBytes: MAX_BYTES,
        }),
      signal,
    )
    if (status !== 200) return { state: 'foreign', problem: `it answered with status ${status}` }
    return readExposition(body)
  } catch (error) {
    if (signal?.aborted) throw error
    return { state: isRefused(error) ? 'refused' : 'silent', problem: problemOf(error) }
  }
}

function readExposition(text: string): RunnerReading {
  const exposition = parseExposition(text, wanted)
  if (!exposition.ok) return { state: 'foreign', problem: `line ${exposition.line}: ${exposition.problem}` }
  if (exposition.samples.length === 0) return { state: 'foreign', problem: 'it has no metrics of a GitLab Runner' }
  return { state: 'answering', sample: toRunnerSample(exposition.samples) }
}

/** Gathers the samples of one reading by entry. Values that are no finite number are as good as not there. */
export function toRunnerSample(samples: readonly Sample[]): RunnerSample {
  const entries = new Map<string, RunnerEntry>()
  let process: ProcessState | undefined
  let concurrent: number | undefined
  let running = 0

  for (const { name, labels, value } of samples) {
    if (!Number.isFinite(value)) continue
    if (name === families.state) {
      if (value === 1) process = PROCESS_STATES.find(state => state === labels['state'])
      continue
    }
    if (name === families.concurrent) concurrent = value
    if (name === families.jobs) running += value
    const shortToken = labels['runner'] ?? ''
    if (shortToken !== '') addTo(entryOf(entries, shortToken, labels['system_id'] ?? ''), name, labels, value)
  }
  return {
    ...(process === undefined ? {} : { process }),
    processFull: concurrent !== undefined && running >= concurrent,
    entries: [...entries.values()].sort((a, b) => (a.shortToken < b.shortToken ? -1 : 1)),
  }
}

function entryOf(entries: Map<string, RunnerEntry>, shortToken: string, systemId: string): RunnerEntry {
  let entry = entries.get(shortToken)
  if (entry === undefined) {
    entry = { shortToken, systemId, running: 0, counters: { good: 0, refused: 0, unhealthy: 0 } }
    entries.set(shortToken, entry)
  }
  // Some series of old versions have no system_id; any series that has one names it.
  if (entry.systemId === '') entry.systemId = systemId
  return entry
}

function addTo(entry: RunnerEntry, name: string, labels: Readonly<Record<string, string>>, value: number): void {
  const { counters } = entry
  switch (name) {
    case families.jobs:
      entry.running += value
      break
    case families.limit:
      // 0 is GitLab Runner's word for no limit.
      if (value > 0) entry.limit = value
      break
    case families.unhealthy:
    case families.unfed:
      counters.unhealthy += value
      break
    case families.statuses:
      if (labels['endpoint'] !== 'request_job') break
      if (labels['status'] === '201' || labels['status'] === '204') counters.good += value
      if (labels['status'] === '403') counters.refused += value
      break
  }
}

function isRefused(error: unknown): boolean {
  return error instanceof TransportError && codeOf(error.cause) === 'ECONNREFUSED'
}

function codeOf(cause: unknown): string | undefined {
  if (cause instanceof AggregateError) return codeOf(cause.errors[0])
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined
}

function problemOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
