import type { JobMetrics } from '../../decider/jobs/document.ts'
import type { Clock } from '../../lib/service/clock.ts'
import { type Curve, peakOf } from '../../simulator/cadvisor/curve.ts'
import { type PodLoad, startCadvisor } from '../../simulator/cadvisor/exporter.ts'
import { addJobPod } from '../../simulator/kubernetes/job-pod.ts'
import type { KubernetesState } from '../../simulator/kubernetes/state.ts'

export interface JobStageOptions {
  clock: Clock
  /** Of the API server that the decider watches. */
  state: KubernetesState
  namespace: string
}

export interface DemoJob {
  id: number
  /** How long it will run for its curves to be seen whole. */
  durationMs: number
  peakCpuCores: number
  peakMemoryBytes: number
  /** Its pod ends and is deleted, as the runner does it. Whatever it runs until here is scraped once more. */
  end(): void
}

export interface JobStage {
  /** Where the kubelet's numbers are; an entry for Prometheus's `scrape_configs`. */
  scrapeConfig: object
  /** A job's pod begins to run, with known curves. */
  begin(job: { id: number; projectId: number; name?: string; durationMs: number }): DemoJob
  close(): Promise<void>
}

/** Pods of jobs in a simulated cluster, and a kubelet that tells what they use: always the same, so that it can be proved. */
export async function openJobStage({ clock, state, namespace }: JobStageOptions): Promise<JobStage> {
  const loads = new Map<number, PodLoad>()
  const cadvisor = await startCadvisor({ clock, pods: () => [...loads.values()] })
  const { host } = new URL(cadvisor.url)
  return {
    scrapeConfig: {
      job_name: 'kubelet',
      // What the kubelet says of namespace and pod is about containers, not about itself.
      honor_labels: true,
      metrics_path: '/metrics/cadvisor',
      static_configs: [{ targets: [host] }],
    },
    begin({ id, projectId, name, durationMs }) {
      const pod = addJobPod(state, {
        namespace,
        jobId: id,
        projectId,
        ...(name !== undefined && { jobName: name }),
        containers: [{ name: 'build', limits: { cpu: '2', memory: '1Gi' } }, { name: 'helper' }],
      })
      const startedMs = clock.wallMs()
      const load = loadOf({ namespace, pod: pod.name, startedMs, seconds: durationMs / 1000 })
      loads.set(id, load)
      pod.start(startedMs)
      const [build] = load.containers
      return {
        id,
        durationMs,
        peakCpuCores: peakOf(build?.cpuCores ?? []),
        peakMemoryBytes: peakOf(build?.memoryBytes ?? []),
        end: () => {
          loads.delete(id)
          pod.finish(clock.wallMs())
          pod.remove()
        },
      }
    },
    close: () => cadvisor.close(),
  }
}

const MIB = 2 ** 20

/** A build: it fetches, works hard for half its time with a heap that grows, and writes what came of it. */
function loadOf({ seconds, ...pod }: { namespace: string; pod: string; startedMs: number; seconds: number }): PodLoad {
  const over = (...shares: readonly (readonly [share: number, value: number])[]): Curve =>
    shares.map(([share, value]) => [share * seconds, value])
  const little = over([0, 0.02])
  const nothing = over([0, 0])
  return {
    ...pod,
    receiveBytesPerSecond: over([0, 8 * MIB], [0.2, 8 * MIB], [0.25, 0]),
    transmitBytesPerSecond: over([0.8, 0], [0.85, 2 * MIB]),
    containers: [
      {
        name: 'build',
        cpuCores: over([0, 0.2], [0.2, 0.2], [0.3, 1.6], [0.85, 1.6], [0.95, 0.1]),
        memoryBytes: over([0, 80 * MIB], [0.3, 200 * MIB], [0.6, 640 * MIB], [0.9, 640 * MIB]),
        diskReadBytesPerSecond: over([0, 4 * MIB], [0.3, 0]),
        diskWriteBytesPerSecond: over([0.7, 0], [0.8, 6 * MIB]),
        throttledRatio: over([0.3, 0], [0.4, 0.25], [0.8, 0.25], [0.9, 0]),
      },
      {
        name: 'helper',
        cpuCores: little,
        memoryBytes: over([0, 24 * MIB]),
        diskReadBytesPerSecond: nothing,
        diskWriteBytesPerSecond: nothing,
        throttledRatio: nothing,
      },
    ],
  }
}

export interface ReadBack {
  job: DemoJob
  /** The decider's operations address. */
  deciderUrl: string
  /** An id_token of the job, as GitLab made it. */
  idToken: string
  clock: Clock
  /** How long the complete metrics may take. */
  withinMs: number
}

export interface JobMetricsReport {
  /** For people, one per figure. */
  lines: readonly string[]
  /** Complete, and both peaks within 5 % of the known curve. */
  ok: boolean
}

const NEAR = 0.05
const ASK_EVERY_MS = 500

/** Asks the decider for the complete metrics of a job that ended, as the job itself would, and compares its peaks. */
export async function reportJobMetrics({
  job,
  deciderUrl,
  idToken,
  clock,
  withinMs,
}: ReadBack): Promise<JobMetricsReport> {
  const endMs = clock.monotonicMs() + withinMs
  let why = 'the decider does not answer'
  while (clock.monotonicMs() < endMs) {
    try {
      const answer = await fetch(`${deciderUrl}/jobs/${job.id}/metrics`, {
        headers: { authorization: `Bearer ${idToken}` },
        signal: AbortSignal.timeout(20_000),
      })
      const text = await answer.text()
      if (answer.status === 200) {
        const metrics = JSON.parse(text) as JobMetrics
        if (!metrics.partial) return compare(metrics, job)
        why = 'they are still partial'
      } else why = text.trim()
    } catch (error) {
      why = error instanceof Error ? error.message : String(error)
    }
    await clock.sleep(ASK_EVERY_MS)
  }
  return { lines: [`job ${job.id}: its metrics were not there within ${withinMs / 1000} s: ${why}`], ok: false }
}

function compare(metrics: JobMetrics, job: DemoJob): JobMetricsReport {
  const seconds = (Date.parse(metrics.window.end) - Date.parse(metrics.window.start)) / 1000
  const figures = [
    { query: 'cpu', unit: 'cores', known: job.peakCpuCores, scale: 1 },
    { query: 'memory', unit: 'MiB', known: job.peakMemoryBytes, scale: MIB },
  ].map(({ query, unit, known, scale }) => {
    const series = metrics.queries
      .find(({ name }) => name === query)
      ?.series.find(({ labels }) => labels['container'] === 'build')
    if (series?.summary.kind !== 'sufficient') return { ok: false, line: `  ${query}: too few samples` }
    const { max, coverage } = series.summary
    const off = Math.abs(max - known) / known
    const words = `peak ${(max / scale).toFixed(2)} of ${(known / scale).toFixed(2)} ${unit}`
    return {
      ok: off <= NEAR,
      line: `  ${query}: ${words} (${(off * 100).toFixed(1)} % off), coverage ${Math.round(coverage * 100)} %`,
    }
  })
  const head = `job ${job.id} ran ${seconds.toFixed(0)} s in cluster ${metrics.cluster}; its metrics, read with its own id_token:`
  return { lines: [head, ...figures.map(({ line }) => line)], ok: figures.every(({ ok }) => ok) }
}
