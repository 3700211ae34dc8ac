import type { KubernetesClient } from '../../lib/kubernetes/client.ts'
import { KubernetesError } from '../../lib/kubernetes/errors.ts'
import type { KubernetesObject, Scale } from '../../lib/kubernetes/types.ts'
import { DELETION_COST, planShrink } from './shrink.ts'

export type ScalerClient = Pick<
  KubernetesClient,
  'deploymentScale' | 'scaleDeployment' | 'pods' | 'annotatePod' | 'horizontalPodAutoscalers' | 'scaledObjects'
>

export interface ScaleTarget {
  namespace: string
  deployment: string
}

/** The one Deployment that a fleet scales. Methods reject with KubernetesError. */
export interface Scaler {
  read(signal: AbortSignal): Promise<Scale>
  /** Who else scales it, in words; undefined: nobody. */
  rival(signal: AbortSignal): Promise<string | undefined>
  grow(from: number, to: number, signal: AbortSignal): Promise<void>
  /**
   * One manager fewer, and an idle one: sets the deletion costs and then the number. Resolves with why not, when a manager
   * with jobs could be hit. `jobsOf`: running jobs of a pod, undefined where nobody knows.
   */
  shrink(
    scale: Scale,
    jobsOf: (namespace: string, pod: string) => number | undefined,
    signal: AbortSignal,
  ): Promise<string | undefined>
}

export function createScaler(kubernetes: ScalerClient, { namespace, deployment }: ScaleTarget): Scaler {
  return {
    read: signal => kubernetes.deploymentScale(namespace, deployment, signal),
    rival: signal => rivalOf(kubernetes, { namespace, deployment }, signal),
    grow: async (from, to, signal) => {
      await kubernetes.scaleDeployment(namespace, deployment, from, to, signal)
    },
    async shrink(scale, jobsOf, signal) {
      if (scale.selector === '') return `Deployment ${namespace}/${deployment} has no selector`
      const pods = await kubernetes.pods(namespace, scale.selector, signal)
      const plan = planShrink(pods, pod => jobsOf(namespace, pod))
      if (plan.pods !== scale.wanted) return `a rollout or a change is under way: ${plan.pods} of ${scale.wanted} pods`
      if (plan.danger !== undefined) return plan.danger
      for (const { pod, cost } of plan.costs) {
        await kubernetes.annotatePod(namespace, pod, DELETION_COST, String(cost), signal)
      }
      await kubernetes.scaleDeployment(namespace, deployment, scale.wanted, scale.wanted - 1, signal)
      return undefined
    },
  }
}

/** An HPA or a ScaledObject that targets the Deployment, in words; undefined: there is none. */
export async function rivalOf(
  kubernetes: Pick<KubernetesClient, 'horizontalPodAutoscalers' | 'scaledObjects'>,
  { namespace, deployment }: ScaleTarget,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const [hpas, scaled] = await Promise.all([
    kubernetes.horizontalPodAutoscalers(namespace, signal),
    kubernetes.scaledObjects(namespace, signal),
  ])
  const targets = (object: KubernetesObject) => {
    const reference = member(member(object, 'spec'), 'scaleTargetRef')
    const kind = member(reference, 'kind') ?? 'Deployment'
    return kind === 'Deployment' && member(reference, 'name') === deployment
  }
  // KEDA makes an HPA of each ScaledObject: the one that people wrote is named.
  const [first] = [
    ...scaled.filter(targets).map(({ metadata }) => `ScaledObject ${metadata.name}`),
    ...hpas.filter(targets).map(({ metadata }) => `HorizontalPodAutoscaler ${metadata.name}`),
  ]
  if (first === undefined) return undefined
  const rule = `${first} scales Deployment ${namespace}/${deployment}, too, and only one may`
  return `${rule}: set fleet.scale to export, or remove it`
}

/** What went wrong, for people. */
export function scalingProblem(error: unknown): string {
  if (error instanceof KubernetesError && error.kind === 'conflict') {
    return 'somebody else changed the number of managers at the same moment'
  }
  return error instanceof Error ? error.message : String(error)
}

function member(of: unknown, name: string): unknown {
  return typeof of === 'object' && of !== null ? Reflect.get(of, name) : undefined
}
