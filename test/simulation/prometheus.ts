import type { InstantResult, Sample } from '../../lib/prometheus/answer.ts'
import type { PrometheusClient } from '../../lib/prometheus/client.ts'
import type { Clock } from '../../lib/service/clock.ts'
import type { Fleet, Pod } from './fleet.ts'
import type { VirtualTime } from './time.ts'

/** How Prometheus fails. `stuck`: it answers, but scrapes no more. */
export type PrometheusFault = 'down' | 'hang' | 'empty' | 'partial' | 'stuck' | 'nan' | 'refusing'

const SCRAPE_MS = 15_000
/** Prometheus shows a series for so long after its last sample. */
const LOOK_BACK_MS = 300_000
const ANSWER_MS = 20

/** One cluster's Prometheus: it scrapes every sidecar each 15 s and answers the decider's one query. */
export class SimulatedPrometheus {
  readonly #faults: { kind: PrometheusFault; sinceMs: number }[] = []

  constructor(
    private readonly fleet: Fleet,
    private readonly time: VirtualTime,
    /** When in the 15 s it scrapes. */
    private readonly phaseMs: number,
  ) {}

  fail(kind: PrometheusFault): () => void {
    const fault = { kind, sinceMs: this.time.monotonicMs() }
    this.#faults.push(fault)
    return () => {
      this.#faults.splice(this.#faults.indexOf(fault), 1)
    }
  }

  /** As a process on `clock` sees it. */
  client(clock: Clock): PrometheusClient {
    return {
      instant: async (_query, signal) => {
        if (this.#has('hang')) await clock.sleep(24 * 3_600_000, signal)
        await clock.sleep(ANSWER_MS, signal)
        return this.#answer()
      },
      range: () => Promise.reject(new Error('the decider asks for no ranges')),
    }
  }

  #has(kind: PrometheusFault): boolean {
    return this.#faults.some(fault => fault.kind === kind)
  }

  #answer(): InstantResult {
    if (this.#has('down')) return { kind: 'unavailable', message: 'connection refused' }
    if (this.#has('refusing'))
      return { kind: 'bad_query', message: 'query processing would load too many samples', status: 422 }
    if (this.#has('empty')) return { kind: 'empty' }
    const nowMs = this.time.wallMs()
    const samples = this.#samples(nowMs)
    if (samples.length === 0) return { kind: 'empty' }
    if (this.#has('partial')) {
      const half = samples.filter((_sample, index) => index % 10 < 5)
      return { kind: 'partial', samples: half, evaluatedAtMs: nowMs, warnings: ['a store did not answer'] }
    }
    return { kind: 'complete', samples, evaluatedAtMs: nowMs }
  }

  #samples(nowMs: number): Sample[] {
    const trueMs = this.time.monotonicMs()
    const stuckMs = Math.min(...this.#faults.filter(({ kind }) => kind === 'stuck').map(({ sinceMs }) => sinceMs))
    const lastMs = Math.min(trueMs, stuckMs)
    const scrapeMs = Math.floor((lastMs - this.phaseMs) / SCRAPE_MS) * SCRAPE_MS + this.phaseMs
    if (trueMs - scrapeMs > LOOK_BACK_MS) return []
    const atSeconds = (nowMs - (trueMs - scrapeMs)) / 1000
    const seen = this.fleet.pods.filter(
      pod => pod.goneMs === undefined || (pod.goneMs > stuckMs && pod.bornMs <= stuckMs),
    )
    return seen.flatMap(pod => this.#series(pod, scrapeMs, atSeconds, nowMs))
  }

  #series(pod: Pod, scrapeMs: number, atSeconds: number, nowMs: number): Sample[] {
    const saying = this.fleet.saidAt(pod, scrapeMs)
    if (saying === undefined) return []
    const each = (labels: Record<string, string>, value: number): Sample => ({
      labels,
      value,
      raw: String(value),
      timestampMs: nowMs,
    })
    const instance = `${pod.name}:9254`
    const labels = { pod_name: pod.name, pod_namespace: 'ci', instance }
    const info = { ...labels, runner_id: String(pod.runnerId), system_id: pod.name }
    const target = { instance, job: 'gitlab-runner-hadr' }
    const available = each({ ...labels, hadr_kind: 'available' }, saying === 'available' ? 1 : 0)
    const shown = this.#has('nan') ? { ...available, value: undefined, raw: 'NaN' } : available
    return [
      ...(saying === 'unknown' ? [] : [shown, each({ ...labels, hadr_kind: 'available_at' }, atSeconds)]),
      each({ ...info, hadr_kind: 'info' }, 1),
      each({ ...info, hadr_kind: 'info_at' }, atSeconds),
      each({ ...target, hadr_kind: 'up' }, 1),
      each({ ...target, hadr_kind: 'up_at' }, atSeconds),
    ]
  }
}
