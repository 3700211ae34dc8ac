import type { RangeResult, Series } from '../../lib/prometheus/answer.ts'
import type { PrometheusClient } from '../../lib/prometheus/client.ts'
import type { Clock } from '../../lib/service/clock.ts'
import type { JobMetrics, JobPoint, JobSeries, QueryResult } from './document.ts'
import type { JobPod } from './pod.ts'
import { type JobQuery, type JobWindow, renderQuery, windowOf } from './queries.ts'
import { summarize } from './summary.ts'

export interface CollectDeps {
  cluster: string
  prometheus: PrometheusClient
  queries: readonly JobQuery[]
  scrapeMs: number
  clock: Clock
  /** Told of each query that was refused or not answered. */
  onQueryFailed: (query: string, message: string) => void
}

export interface Collected {
  metrics: JobMetrics
  /** Prometheus answered none of the queries: asking again later may help. */
  unreachable: boolean
}

/** More series than any pod has; what is beyond is told, not kept. */
const MAX_SERIES = 200

/**
 * Asks Prometheus for all that it knows of one pod until `endMs` (milliseconds since 1970). Never rejects for what it says
 * or fails to say: that becomes an outcome and a warning, and the other queries are asked all the same. Rejects with the
 * signal's reason only.
 */
export async function collect(
  target: JobPod & { startedMs: number },
  { endMs, partial }: { endMs: number; partial: boolean },
  deps: CollectDeps,
  signal: AbortSignal,
): Promise<Collected> {
  const { job, pod, containers, startedMs } = target
  const window = windowOf(startedMs, endMs, deps.scrapeMs)
  const queries: QueryResult[] = []
  const warnings: string[] = []
  let unreachable = 0
  for (const query of deps.queries) {
    const promql = renderQuery(query.query, pod, window.intervalMs)
    const result = await deps.prometheus.range(promql, window, signal)
    const read = readResult(query, promql, result, window)
    queries.push(read.result)
    warnings.push(...read.warnings)
    if (read.failure !== undefined) deps.onQueryFailed(query.name, read.failure)
    if (result.kind === 'unavailable') unreachable++
  }
  const oom = containers.filter(({ oomKilled }) => oomKilled).map(({ name }) => `${name} was killed for want of memory`)
  return {
    unreachable: unreachable === deps.queries.length,
    metrics: {
      schema: 1,
      cluster: deps.cluster,
      job,
      pod,
      window: {
        start: new Date(window.startMs).toISOString(),
        end: new Date(window.endMs).toISOString(),
        stepSeconds: window.stepMs / 1000,
      },
      partial,
      collectedAt: new Date(deps.clock.wallMs()).toISOString(),
      containers,
      queries,
      warnings: [...oom, ...warnings],
    },
  }
}

interface Read {
  result: QueryResult
  warnings: string[]
  failure?: string
}

function readResult(query: JobQuery, promql: string, answer: RangeResult, window: JobWindow): Read {
  const { name, unit } = query
  const base = { name, unit, query: promql }
  switch (answer.kind) {
    case 'complete':
    case 'partial': {
      const kept = answer.series.slice(0, MAX_SERIES)
      const series = kept.map(each => seriesOf(each, query, window))
      const warnings = [
        ...(answer.kind === 'partial' ? answer.warnings.map(text => `${name}: Prometheus warns: ${text}`) : []),
        ...(kept.length < answer.series.length
          ? [`${name}: only ${MAX_SERIES} of ${answer.series.length} series`]
          : []),
        ...series.flatMap(({ labels, summary }) => summary.warnings.map(text => `${name}${shown(labels)}: ${text}`)),
      ]
      return { result: { ...base, outcome: answer.kind, series }, warnings }
    }
    case 'empty':
      return {
        result: { ...base, outcome: 'empty', series: [] },
        warnings: [`${name}: Prometheus knows no such series of this pod`],
      }
    case 'bad_query':
    case 'unavailable':
    case 'invalid_answer': {
      const words = { bad_query: 'is refused', unavailable: 'was not answered', invalid_answer: 'was answered oddly' }
      const failure = `${words[answer.kind]}: ${answer.message}`
      return {
        result: { ...base, outcome: 'failed', series: [] },
        warnings: [`${name}: the query ${failure}`],
        failure,
      }
    }
  }
}

function seriesOf({ labels, points }: Series, { integrate }: JobQuery, window: JobWindow): JobSeries {
  const known = points.flatMap(({ timestampMs, value }): JobPoint[] =>
    value === undefined ? [] : [[timestampMs / 1000, value]],
  )
  const grid = {
    startSeconds: window.startMs / 1000,
    endSeconds: window.endMs / 1000,
    stepSeconds: window.stepMs / 1000,
  }
  return { labels, points: known, summary: summarize(known, { window: grid, integrate }) }
}

/** `{container="build"}`, shorter. */
function shown(labels: Readonly<Record<string, string>>): string {
  const values = Object.values(labels)
  return values.length === 0 ? '' : ` (${values.join(', ')})`
}
