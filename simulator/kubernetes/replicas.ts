import type { Clock, Random } from '../../lib/service/clock.ts'
import { randomSuffix, timestamp } from './context.ts'
import { isActive, isReady, matchesSelector, rankForDeletion } from './replica-order.ts'
import type { KubernetesState } from './state.ts'
import { asNumber, asRecord, ensureRecord, metadataOf, nameOf, type KubeObject } from './values.ts'

/** What runs the containers of pods. */
export interface Kubelet {
  /** Starts a pod; `ready` is to be called when it is. */
  start(pod: string, ready: () => void): void
  /** Tells a pod to end; `gone` is to be called when it has. */
  stop(pod: string, gone: () => void): void
}

export interface ReplicasOptions {
  state: KubernetesState
  namespace: string
  /** Name of the Deployment; its template needs labels that its selector matches. */
  deployment: string
  kubelet: Kubelet
  clock: Clock
  random: Random
  /** Nodes over which pods are spread in turn. Default 3. */
  nodes?: number
}

export interface Replicas {
  /** Names of the pods that are not ending. */
  pods(): string[]
  /** Nothing is created or deleted any more. */
  close(): void
}

/**
 * The Deployment's and the ReplicaSet's controller in one, for a Deployment whose template does not change: creates what is
 * missing, and deletes in the real controller's order what is too much (`rankForDeletion`). Writes the status.
 */
export function startReplicas(options: ReplicasOptions): Replicas {
  const { state, namespace, deployment, kubelet, clock, random, nodes = 3 } = options
  let closed = false
  let due = false
  let created = 0

  const read = () => state.get('deployments', namespace, deployment)
  const ownPods = (object: KubeObject) => state.list('pods', namespace).filter(pod => matchesSelector(object, pod))

  function create(object: KubeObject): void {
    const template = asRecord(asRecord(object['spec'])?.['template']) ?? {}
    const name = `${deployment}-${randomSuffix(random)}${randomSuffix(random)}`
    const labels = asRecord(asRecord(template['metadata'])?.['labels']) ?? {}
    const node = `node-${created++ % nodes}`
    const spec = { containers: [{ name: 'runner', image: 'runner' }], ...asRecord(template['spec']), nodeName: node }
    state.put('pods', {
      metadata: { name, namespace, labels: { ...labels } },
      spec,
      status: { phase: 'Pending', conditions: [{ type: 'Ready', status: 'False' }] },
    })
    kubelet.start(name, () => {
      state.change('pods', namespace, name, pod => {
        pod['status'] = {
          phase: 'Running',
          conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: timestamp(clock.wallMs()) }],
        }
      })
    })
  }

  function end(name: string): void {
    state.change('pods', namespace, name, pod => {
      metadataOf(pod)['deletionTimestamp'] = timestamp(clock.wallMs())
    })
    kubelet.stop(name, () => state.remove('pods', namespace, name))
  }

  function sync(): void {
    due = false
    const object = closed ? undefined : read()
    if (!object) return
    const wanted = asNumber(asRecord(object['spec'])?.['replicas']) ?? 0
    const active = ownPods(object).filter(isActive)
    for (let missing = wanted - active.length; missing > 0; missing--) create(object)
    const tooMany = Math.max(0, active.length - wanted)
    for (const pod of rankForDeletion(active).slice(0, tooMany)) end(nameOf(pod))
    writeStatus()
  }

  function writeStatus(): void {
    const object = read()
    if (!object) return
    const active = ownPods(object).filter(isActive)
    const status = {
      observedGeneration: metadataOf(object)['generation'],
      replicas: active.length,
      updatedReplicas: active.length,
      readyReplicas: active.filter(isReady).length,
      availableReplicas: active.filter(isReady).length,
    }
    const present = ensureRecord(object, 'status')
    const changed = Object.entries(status).some(([name, value]) => present[name] !== value)
    if (changed) state.setDeploymentStatus(namespace, deployment, status)
  }

  const wake = () => {
    if (due || closed) return
    due = true
    queueMicrotask(sync)
  }
  const unsubscribe = state.onChange(wake)
  wake()

  return {
    pods: () => {
      const object = read()
      return object ? ownPods(object).filter(isActive).map(nameOf) : []
    },
    close: () => {
      closed = true
      unsubscribe()
    },
  }
}
