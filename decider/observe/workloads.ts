import type { KubernetesClient } from '../../lib/kubernetes/client.ts'
import type { KubernetesObject } from '../../lib/kubernetes/types.ts'
import { type Clock, withDeadline } from '../../lib/service/clock.ts'
import type { Log } from '../../lib/service/log.ts'
import type { PoolConfig } from '../model.ts'

/** What Kubernetes says of a pool's runner pods in this cluster. */
export interface Workloads {
  /** Pods that are wanted. */
  desired: number
  /** Pods that exist. */
  present: number
  /**
   * A rollout or a change of the number of pods is under way. Pods that merely are not ready are none: a cluster whose
   * pods fail is weak, not busy. Nor is a rollout that Kubernetes has given up on.
   */
  updating: boolean
}

/** Never rejects; undefined: nobody knows. */
export type WorkloadReader = (pool: PoolConfig, signal: AbortSignal) => Promise<Workloads | undefined>

export interface WorkloadReaderDeps {
  kubernetes: Pick<KubernetesClient, 'deployments' | 'statefulSets'>
  /** Where none is configured. */
  namespace: string
  clock: Clock
  log: Log
}

/** The API server answers in milliseconds; a cycle waits no longer for what it can do without. */
const DEADLINE_MS = 2000

/**
 * Reads a pool's Deployments and StatefulSets. What was last read stands in for T_unknown when the API server does not
 * answer: were it forgotten at once, strength by health would jump from a part to the whole.
 */
export function createWorkloadReader({ kubernetes, namespace, clock, log }: WorkloadReaderDeps): WorkloadReader {
  const last = new Map<string, { workloads: Workloads; atMs: number }>()
  const complained = new Set<string>()

  return async (pool, signal) => {
    if (!pool.workloads) return undefined
    const { namespace: where = namespace, selector } = pool.workloads
    const key = `${where} ${selector}`
    try {
      const workloads = await withDeadline(
        clock,
        DEADLINE_MS,
        async deadline => {
          const lists = await Promise.all([
            kubernetes.deployments(where, selector, deadline),
            kubernetes.statefulSets(where, selector, deadline),
          ])
          return workloadsOf(lists.flat())
        },
        signal,
      )
      if (!workloads) throw new Error('no Deployment or StatefulSet matches')
      last.set(key, { workloads, atMs: clock.monotonicMs() })
      complained.delete(key)
      return workloads
    } catch (error) {
      if (!complained.has(key)) log.warn({ pool: pool.name, ...pool.workloads, err: error }, 'desired pods are unknown')
      complained.add(key)
      const known = last.get(key)
      return known && clock.monotonicMs() - known.atMs < pool.timing.unknownForMs ? known.workloads : undefined
    }
  }
}

/** The sums over all of them. None at all is no zero: the selector may be wrong. */
export function workloadsOf(objects: readonly KubernetesObject[]): Workloads | undefined {
  if (objects.length === 0) return undefined
  const each = objects.map(({ metadata, spec, status }) => {
    const count = (of: unknown, field: string): number => {
      const value: unknown = typeof of === 'object' && of !== null ? Reflect.get(of, field) : undefined
      return typeof value === 'number' ? value : 0
    }
    // The server fills the default in, so that a missing number is a zero that was left out.
    const desired = count(spec, 'replicas')
    const present = count(status, 'replicas')
    const unseen = count(status, 'observedGeneration') < count(metadata, 'generation')
    const moving = present !== desired || count(status, 'updatedReplicas') !== desired
    return { desired, present, updating: unseen || (moving && !isGivenUp(status)) }
  })
  const sum = (of: 'desired' | 'present') => each.reduce((total, workload) => total + workload[of], 0)
  return { desired: sum('desired'), present: sum('present'), updating: each.some(({ updating }) => updating) }
}

/** A Deployment that made no progress within `progressDeadlineSeconds`. */
function isGivenUp(status: unknown): boolean {
  const conditions: unknown = typeof status === 'object' && status !== null ? Reflect.get(status, 'conditions') : []
  const stuck = { type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }
  const fields = Object.entries(stuck)
  return Array.isArray(conditions) && conditions.some((condition: unknown) => hasAll(condition, fields))
}

function hasAll(value: unknown, fields: readonly [string, string][]): boolean {
  return (
    typeof value === 'object' && value !== null && fields.every(([name, wanted]) => Reflect.get(value, name) === wanted)
  )
}
