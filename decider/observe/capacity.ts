import type { InstantResult, Sample } from '../../lib/prometheus/answer.ts'
import type { OwnCapacity, RunnerView } from '../model.ts'
import type { Workloads } from './workloads.ts'

/**
 * One query for everything, so that all numbers are of one instant. The label `hadr_kind` tells the parts apart; the
 * ages are counted here and not in PromQL, where `or vector(0)` and the five-minute look-back would hide a gap.
 */
export function capacityQuery(jobPattern: string): string {
  const part = (expression: string, kind: string) => `label_replace(${expression}, "hadr_kind", "${kind}", "", "")`
  const available = 'gitlab_runner_hadr_sidecar_available'
  const info = 'gitlab_runner_hadr_sidecar_runner_info'
  const up = `up{job=~${JSON.stringify(jobPattern)}}`
  return [
    part(available, 'available'),
    part(`timestamp(${available})`, 'available_at'),
    part(info, 'info'),
    part(`timestamp(${info})`, 'info_at'),
    part(up, 'up'),
    part(`timestamp(${up})`, 'up_at'),
  ].join(' or ')
}

export interface CapacityOptions {
  /** This cluster's runners of the pool; a pod counts when one of its runner entities is among them. */
  runners: readonly RunnerView[]
  sampleMaxAgeMs: number
}

interface Pod {
  /** What its fresh series say: none, or two that differ, is unknown. */
  said: Set<boolean>
  /** Named by fresh series. */
  freshIds: Set<number>
  /** Named by series of any age. Stale samples say nothing of a pod's state, but still whose it is. */
  ids: Set<number>
}

/**
 * Own capacity from one answer of Prometheus. Pure. Only fresh samples count; a pod that says nothing fresh about its
 * availability is unknown, not unavailable. No pod at all is known to be zero only when Prometheus itself says that
 * every target it scrapes for sidecars is down: empty is not zero.
 */
export function capacityOf(result: InstantResult, { runners, sampleMaxAgeMs }: CapacityOptions): OwnCapacity {
  if (result.kind === 'empty') {
    return { known: false, noPods: true, why: 'Prometheus knows no sidecar: none is scraped, or none runs' }
  }
  if (result.kind !== 'complete' && result.kind !== 'partial') {
    return { known: false, why: `Prometheus: ${result.message}` }
  }
  const oldestMs = (result.evaluatedAtMs ?? Infinity) - sampleMaxAgeMs
  const all = new Set(runners.map(runner => runner.id))
  const own = new Set(runners.filter(runner => !runner.paused).map(runner => runner.id))
  const samples = groupByKind(result.samples)
  const ours = [...readPods(samples, oldestMs).values()]
    .filter(pod => [...pod.ids].some(id => all.has(id)))
    .map(pod => {
      const paused = ![...(pod.freshIds.size > 0 ? pod.freshIds : pod.ids)].some(id => own.has(id))
      return { available: paused ? false : verdictOf(pod), servingIds: [...pod.freshIds].filter(id => own.has(id)) }
    })
  const targets = samples.get('up') ?? []
  const freshTargets = freshKeys(samples.get('up_at'), oldestMs)
  const targetsDown = targets.filter(target => target.value === 0 && freshTargets.has(keyOf(target))).length

  if (ours.length === 0) {
    const allDown = targets.length > 0 && targetsDown === targets.length
    if (allDown && result.kind === 'complete') {
      return { known: true, available: 0, unknownPods: 0, total: targetsDown, desired: null, servingIds: [] }
    }
    return {
      known: false,
      why: 'Prometheus has no fresh sample of a pod that belongs to this cluster’s runners',
      ...(result.kind === 'complete' && targets.length === 0 ? { noPods: true } : {}),
    }
  }
  const available = ours.filter(pod => pod.available === true)
  const unknownPods = ours.filter(pod => pod.available === undefined).length
  // A partial answer may prove "at least this many", never "no more than that".
  const missing = result.kind === 'partial' ? 1 : 0
  const servingIds = new Set(available.flatMap(pod => pod.servingIds))
  return {
    known: true,
    available: available.length,
    unknownPods: unknownPods + missing,
    total: ours.length,
    desired: null,
    servingIds: [...servingIds].sort((a, b) => a - b),
  }
}

/**
 * The same with what Kubernetes says of the pods that are wanted. Where nothing runs and nothing is wanted, both
 * agree that the capacity is zero; Prometheus alone cannot tell that from sidecars which it does not scrape.
 */
export function withWorkloads(own: OwnCapacity, workloads: Workloads | undefined): OwnCapacity {
  if (!workloads) return own
  const { desired, present, updating } = workloads
  if (own.known) return { ...own, desired, updating }
  if (!own.noPods || desired > 0 || present > 0 || updating) return own
  return { known: true, available: 0, unknownPods: 0, total: 0, desired: 0, servingIds: [], updating }
}

/**
 * The pods that a cluster is measured by where strength is health. Pods that were only just asked for do not count
 * before they first are available: a fleet that grows, or is asked for more than its nodes can hold, is as healthy as it
 * was. Pods that were there and fail do count. `before`: what this gave last time; undefined at first.
 */
export function expectedPods(before: number | undefined, wanted: number, available: number): number {
  return before === undefined ? wanted : Math.min(wanted, Math.max(before, available))
}

export function groupByKind(samples: readonly Sample[]): Map<string, Sample[]> {
  const groups = new Map<string, Sample[]>()
  for (const sample of samples) {
    const kind = sample.labels['hadr_kind'] ?? ''
    const group = groups.get(kind)
    if (group) group.push(sample)
    else groups.set(kind, [sample])
  }
  return groups
}

function readPods(samples: Map<string, Sample[]>, oldestMs: number): Map<string, Pod> {
  const pods = new Map<string, Pod>()
  const podOf = (sample: Sample) => {
    const key = `${sample.labels['pod_namespace'] ?? ''}/${sample.labels['pod_name'] ?? ''}`
    let pod = pods.get(key)
    if (!pod) pods.set(key, (pod = { said: new Set(), freshIds: new Set(), ids: new Set() }))
    return pod
  }
  const freshInfo = freshKeys(samples.get('info_at'), oldestMs)
  for (const sample of samples.get('info') ?? []) {
    const id = Number(sample.labels['runner_id'])
    if (!Number.isSafeInteger(id) || id <= 0) continue
    podOf(sample).ids.add(id)
    if (freshInfo.has(keyOf(sample))) podOf(sample).freshIds.add(id)
  }
  const fresh = freshKeys(samples.get('available_at'), oldestMs)
  for (const sample of samples.get('available') ?? []) {
    if (fresh.has(keyOf(sample)) && sample.value !== undefined) podOf(sample).said.add(sample.value === 1)
  }
  return pods
}

/** Two series of one pod (an old and a new target label) that disagree prove nothing. */
function verdictOf({ said }: Pod): boolean | undefined {
  const [only] = said
  return said.size === 1 ? only : undefined
}

/** The series whose sample, taken at the `timestamp()` that `at` holds, is young enough. */
export function freshKeys(at: readonly Sample[] | undefined, oldestMs: number): Set<string> {
  const fresh = (at ?? []).filter(sample => sample.value !== undefined && sample.value * 1000 >= oldestMs)
  return new Set(fresh.map(keyOf))
}

/** A series' identity without its name and kind, which `timestamp()` and `label_replace()` change. */
export function keyOf({ labels }: Sample): string {
  const rest = Object.entries(labels).filter(([name]) => name !== '__name__' && name !== 'hadr_kind')
  return JSON.stringify(rest.sort(([a], [b]) => (a < b ? -1 : 1)))
}
