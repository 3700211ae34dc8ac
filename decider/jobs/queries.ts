/** One range query per job. */
export interface JobQuery {
  name: string
  /** PromQL with the placeholders `{selector}` (label matchers without braces) and `{interval}` (a duration). */
  query: string
  /** Of the values: a word for people. */
  unit: string
  /** The values are a rate, whose sum over time means something. */
  integrate: boolean
}

/** More would burden a Prometheus that serves thousands of jobs. */
export const MAX_QUERIES = 8
/** At most so many points per series, and one for the end; no screen shows more. */
const MAX_STEPS = 250
/** A rate over four scrapes survives a lost one. */
const RATE_SCRAPES = 4

const pod = '{{selector}}'
const containers = '{{selector},container!~"|POD"}'
const rate = (by: string, name: string, selector: string) => `sum by (${by}) (rate(${name}${selector}[{interval}]))`

/** What cAdvisor in every kubelet tells. Limits, restarts and OOM kills are in the pod itself. */
export const DEFAULT_QUERIES: readonly JobQuery[] = [
  {
    name: 'cpu',
    query: rate('container', 'container_cpu_usage_seconds_total', containers),
    unit: 'cores',
    integrate: true,
  },
  {
    name: 'memory',
    query: `max by (container) (container_memory_working_set_bytes${containers})`,
    unit: 'bytes',
    integrate: false,
  },
  {
    name: 'network_receive',
    query: rate('interface', 'container_network_receive_bytes_total', pod),
    unit: 'bytes/s',
    integrate: true,
  },
  {
    name: 'network_transmit',
    query: rate('interface', 'container_network_transmit_bytes_total', pod),
    unit: 'bytes/s',
    integrate: true,
  },
  {
    name: 'disk_read',
    query: rate('container', 'container_fs_reads_bytes_total', containers),
    unit: 'bytes/s',
    integrate: true,
  },
  {
    name: 'disk_write',
    query: rate('container', 'container_fs_writes_bytes_total', containers),
    unit: 'bytes/s',
    integrate: true,
  },
  {
    name: 'throttling',
    query:
      `${rate('container', 'container_cpu_cfs_throttled_periods_total', containers)} / ` +
      rate('container', 'container_cpu_cfs_periods_total', containers),
    unit: 'ratio',
    integrate: false,
  },
]

export interface JobWindow {
  startMs: number
  endMs: number
  stepMs: number
  /** What `{interval}` becomes. */
  intervalMs: number
}

/** The grid on which a job is looked at: as fine as the scrapes, coarser for long jobs. */
export function windowOf(startMs: number, endMs: number, scrapeMs: number): JobWindow {
  const durationMs = Math.max(0, endMs - startMs)
  // Whole seconds, unless scrapes come faster than that.
  const coarseMs = Math.ceil(durationMs / MAX_STEPS / 1000) * 1000
  const stepMs = durationMs / scrapeMs > MAX_STEPS ? Math.max(scrapeMs, coarseMs) : scrapeMs
  return { startMs, endMs: startMs + durationMs, stepMs, intervalMs: Math.max(stepMs, RATE_SCRAPES * scrapeMs) }
}

/** The query of one pod, as Prometheus gets it. */
export function renderQuery(template: string, pod: { namespace: string; name: string }, intervalMs: number): string {
  const selector = `namespace=${quoted(pod.namespace)},pod=${quoted(pod.name)}`
  return template.replaceAll('{selector}', () => selector).replaceAll('{interval}', () => `${Math.round(intervalMs)}ms`)
}

/** PromQL's strings are Go's, whose escapes include JSON's. */
function quoted(text: string): string {
  return JSON.stringify(text)
}
