import type { PrometheusClient } from '../../lib/prometheus/client.ts'
import { withDeadline, type Clock, type Random } from '../../lib/service/clock.ts'
import type { Log } from '../../lib/service/log.ts'
import { collect, type CollectDeps } from './collect.ts'
import type { JobMetrics } from './document.ts'
import type { JobsMetrics } from './metrics.ts'
import type { JobQuery } from './queries.ts'
import { createWorkQueue } from './queue.ts'
import type { JobStore } from './store.ts'
import type { StartedPod } from './watch.ts'

export interface DeskOptions {
  cluster: string
  prometheus: PrometheusClient
  queries: readonly JobQuery[]
  scrapeMs: number
  store: JobStore
  metrics: JobsMetrics
  /** Stores a finished document elsewhere; missing: nowhere. Rejects when that failed. */
  publish?: (metrics: JobMetrics) => Promise<void>
  /** Of several replicas only one publishes. */
  publishes: () => boolean
  clock: Clock
  random: Random
  log: Log
}

/** What the status tells of the queries. */
export interface QueryTrouble {
  query: string
  message: string
  at: string
}

export type LiveResult = { kind: 'metrics'; metrics: JobMetrics } | { kind: 'busy' }

export interface JobDesk {
  /** Collects the metrics of an ended job once its last samples are in. Returns at once. */
  ended(pod: StartedPod, endMs: number): void
  /** Whether this job ended and waits to be collected; its pod then. */
  waiting(jobId: number): { pod: StartedPod; endMs: number } | undefined
  /** What there is of a job right now, marked as partial. Not kept. */
  live(pod: StartedPod, endMs: number): Promise<LiveResult>
  readonly queueLength: number
  /** The newest trouble of each query since its last success. */
  troubles(): readonly QueryTrouble[]
  stop(): Promise<void>
}

const CONCURRENCY = 4
const CAPACITY = 1000
/** What waits for one of the four places may be long ended; a live request may not wait so long. */
const LIVE_DEADLINE_MS = 15_000
const MAX_LIVE = 16
const LIVE_FRESH_MS = 5_000
/** One job: eight queries, each with its own deadline. */
const COLLECT_DEADLINE_MS = 60_000
/** cAdvisor's numbers are up to this old when they are scraped, and Prometheus needs a moment. */
const SETTLE_MS = 5_000
const ATTEMPTS = 4
const RETRY_MS = 30_000
const PUBLISH_ATTEMPTS = 3

/** Collects, keeps and publishes, on a queue of its own: whatever goes wrong here, nobody waits for it. */
export function createJobDesk(options: DeskOptions): JobDesk {
  const { store, metrics, scrapeMs, clock, random, log } = options
  const stopping = new AbortController()
  const troubles = new Map<string, QueryTrouble>()
  const waiting = new Map<string, { pod: StartedPod; endMs: number }>()
  const live = new Map<number, Promise<LiveResult>>()
  let liveRunning = 0
  const queue = createWorkQueue({
    clock,
    capacity: CAPACITY,
    concurrency: CONCURRENCY,
    onError: (key, error) => log.error({ work: key, err: error }, 'work for the metrics of a job failed unexpectedly'),
  })

  const deps: CollectDeps = {
    cluster: options.cluster,
    prometheus: options.prometheus,
    queries: options.queries,
    scrapeMs,
    clock,
    onQueryFailed: (query, message) => {
      metrics.queryFailed(query)
      if (troubles.get(query)?.message !== message)
        log.warn({ query, message }, 'a query for the metrics of jobs fails')
      troubles.set(query, { query, message, at: new Date(clock.wallMs()).toISOString() })
    },
  }

  async function ask(pod: StartedPod, endMs: number, partial: boolean, deadlineMs: number) {
    const startMs = clock.monotonicMs()
    const collected = await withDeadline(
      clock,
      deadlineMs,
      signal => collect(pod, { endMs, partial }, deps, signal),
      stopping.signal,
    )
    metrics.collectedIn((clock.monotonicMs() - startMs) / 1000)
    for (const { name, outcome } of collected.metrics.queries) if (outcome !== 'failed') troubles.delete(name)
    return collected
  }

  async function collectEnded(pod: StartedPod, endMs: number, attempt: number): Promise<void> {
    const { job } = pod
    const { uid } = pod.pod
    const again = () => enqueue(pod, endMs, attempt + 1, RETRY_MS * 2 ** (attempt - 1) * (0.5 + random()))
    try {
      const { metrics: document, unreachable } = await ask(pod, endMs, false, COLLECT_DEADLINE_MS)
      if (unreachable && attempt < ATTEMPTS) {
        again()
        return
      }
      waiting.delete(uid)
      if (unreachable) {
        metrics.job('failed')
        log.warn({ job: job.id }, 'Prometheus does not answer: the metrics of this job are given up')
        return
      }
      metrics.job('collected')
      await store.put(document)
      publish(document, 1)
    } catch (error) {
      if (stopping.signal.aborted) return
      if (attempt < ATTEMPTS) {
        again()
        return
      }
      waiting.delete(uid)
      metrics.job('failed')
      log.warn({ job: job.id, err: error }, 'the metrics of this job cannot be collected')
    }
  }

  function enqueue(pod: StartedPod, endMs: number, attempt: number, delayMs: number): void {
    const { uid } = pod.pod
    waiting.set(uid, { pod, endMs })
    queue.add({
      key: String(pod.job.id),
      delayMs,
      work: () => collectEnded(pod, endMs, attempt),
      dropped: why => {
        waiting.delete(uid)
        if (why === 'stopped') return
        metrics.job('dropped')
        log.warn(
          { job: pod.job.id },
          'too many jobs end at once: the metrics of the one that waited longest are given up',
        )
      },
    })
  }

  function publish(document: JobMetrics, attempt: number): void {
    const { publish: send } = options
    if (!send || !options.publishes()) return
    const work = async () => {
      try {
        await send(document)
        metrics.package('stored')
      } catch (error) {
        if (attempt < PUBLISH_ATTEMPTS) {
          publish(document, attempt + 1)
          return
        }
        metrics.package('failed')
        log.warn({ job: document.job.id, err: error }, 'the metrics of this job cannot be stored in GitLab')
      }
    }
    queue.add({
      key: `package ${document.job.id}`,
      delayMs: attempt === 1 ? 0 : RETRY_MS * (0.5 + random()),
      work,
      dropped: () => metrics.package('failed'),
    })
  }

  function startLive(pod: StartedPod, endMs: number): Promise<LiveResult> {
    return new Promise(resolve => {
      const busy = () => resolve({ kind: 'busy' })
      const giveUp = clock.after(LIVE_DEADLINE_MS, busy)
      queue.add({
        key: `live ${pod.job.id}`,
        urgent: true,
        work: async () => {
          try {
            const { metrics: document } = await ask(pod, endMs, true, LIVE_DEADLINE_MS)
            resolve({ kind: 'metrics', metrics: document })
          } catch {
            busy()
          } finally {
            giveUp()
          }
        },
        dropped: busy,
      })
    })
  }

  return {
    ended(pod, endMs) {
      if (store.has(pod.job.id, pod.pod.uid) || waiting.has(pod.pod.uid)) return
      // For what ended long ago, the samples are there already.
      const sinceMs = Math.max(0, clock.wallMs() - endMs)
      enqueue(pod, endMs, 1, Math.max(0, scrapeMs + SETTLE_MS - sinceMs))
    },
    waiting: jobId => [...waiting.values()].find(({ pod }) => pod.job.id === jobId),
    live(pod, endMs) {
      const { id } = pod.job
      const present = live.get(id)
      if (present) return present
      if (liveRunning >= MAX_LIVE) return Promise.resolve({ kind: 'busy' })
      liveRunning++
      const work = startLive(pod, endMs).then(result => {
        liveRunning--
        // Whoever asks again gets the same until there can be new samples.
        const freshMs = result.kind === 'metrics' ? Math.min(scrapeMs, LIVE_FRESH_MS) : 0
        clock.after(freshMs, () => live.delete(id))
        return result
      })
      live.set(id, work)
      return work
    },
    get queueLength() {
      return waiting.size
    },
    troubles: () => [...troubles.values()],
    async stop() {
      stopping.abort(new Error('the decider stops'))
      await queue.stop()
    },
  }
}
