import type { KubernetesObject } from '../../lib/kubernetes/types.ts'

export const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost'

/** Of a pod of which nobody knows whether it runs jobs: given up last of all. */
export const UNKNOWN_COST = 1_000_000

export interface ShrinkPlan {
  /** What the pods' annotations must say, only where they do not yet. */
  costs: readonly { pod: string; cost: number }[]
  /** Pods that are not ending. */
  pods: number
  /** Undefined: with these costs Kubernetes gives up an idle pod; else why it could be another one. */
  danger: string | undefined
}

/**
 * How a Deployment can lose one pod and no job. Pure. Kubernetes gives up pods without a node first, then those whose
 * containers have not started, then those that are not ready, and only among equals the one with the lowest deletion cost:
 * so a pod that is not ready and has jobs, or of which nobody knows, forbids to shrink. `jobsOf`: undefined is unknown.
 */
export function planShrink(
  objects: readonly KubernetesObject[],
  jobsOf: (pod: string) => number | undefined,
): ShrinkPlan {
  const pods = objects.map(viewPod).filter(pod => !pod.ending)
  const priced = pods.map(pod => {
    // Before its containers run it has had no job yet.
    const jobs = pod.phase === 'Pending' ? 0 : jobsOf(pod.name)
    return { ...pod, jobs, wanted: Math.min(jobs ?? UNKNOWN_COST, UNKNOWN_COST) }
  })
  const order = (pod: (typeof priced)[number]) => [
    pod.scheduled ? 1 : 0,
    PHASES.indexOf(pod.phase),
    pod.ready ? 1 : 0,
    pod.wanted,
  ]
  const [first] = priced.toSorted((a, b) => compare(order(a), order(b)))
  const next = first ? priced.filter(pod => compare(order(pod), order(first)) === 0) : []
  const risky = next.find(pod => pod.jobs !== 0)
  return {
    pods: pods.length,
    costs: priced.filter(pod => pod.cost !== pod.wanted).map(pod => ({ pod: pod.name, cost: pod.wanted })),
    danger: risky && dangerOf(risky),
  }
}

interface PodView {
  name: string
  ending: boolean
  scheduled: boolean
  phase: string
  ready: boolean
  /** NaN: none is set, which counts as 0 but may not be relied on. */
  cost: number
}

const PHASES = ['Pending', 'Unknown', 'Running']

function viewPod(object: KubernetesObject): PodView {
  const { metadata } = object
  const spec = record(object['spec'])
  const status = record(object['status'])
  const phase = typeof status['phase'] === 'string' ? status['phase'] : 'Pending'
  const conditions = Array.isArray(status['conditions']) ? (status['conditions'] as unknown[]).map(record) : []
  return {
    name: metadata.name,
    ending: metadata['deletionTimestamp'] !== undefined || phase === 'Succeeded' || phase === 'Failed',
    scheduled: typeof spec['nodeName'] === 'string' && spec['nodeName'] !== '',
    phase,
    ready: conditions.some(condition => condition['type'] === 'Ready' && condition['status'] === 'True'),
    cost: Number(metadata.annotations?.[DELETION_COST] ?? Number.NaN),
  }
}

function dangerOf({ name, ready, jobs }: { name: string; ready: boolean; jobs: number | undefined }): string {
  if (jobs === undefined) return `nobody knows whether ${name} runs jobs`
  return ready ? 'every manager has jobs' : `${name} is not ready, and Kubernetes would give it up with its jobs`
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, index) => value !== b[index])
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0)
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
