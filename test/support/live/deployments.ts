import { createHash } from 'node:crypto'
import type { Connection } from '../../../lib/kubernetes/connection.ts'
import type { KubernetesState } from '../../../simulator/kubernetes/state.ts'
import {
  asNumber,
  asRecord,
  labelsOf,
  metadataOf,
  nameOf,
  records,
  same,
  type KubeObject,
} from '../../../simulator/kubernetes/values.ts'

const HASH = 'pod-template-hash'

/**
 * One pass of what the controllers of Deployments and ReplicaSets do together: new pods are created through the API,
 * where admission sees them, old ones go when the new ones are ready, and the status says how far it came.
 */
export async function reconcileDeployments(
  state: KubernetesState,
  admin: Connection,
  isReady: (pod: KubeObject) => boolean,
): Promise<void> {
  for (const deployment of state.list('deployments')) {
    const namespace = String(metadataOf(deployment)['namespace'])
    const spec = asRecord(deployment['spec']) ?? {}
    const template = asRecord(spec['template']) ?? {}
    const hash = createHash('sha256').update(JSON.stringify(template)).digest('hex').slice(0, 10)
    const own = state
      .list('pods', namespace)
      .filter(pod => ownerOf(pod) === `${nameOf(deployment)}-${labelsOf(pod)[HASH] ?? ''}`)
    const current = own.filter(pod => labelsOf(pod)[HASH] === hash)
    const old = own.filter(pod => labelsOf(pod)[HASH] !== hash)
    const wanted = asNumber(spec['replicas']) ?? 1
    const collection = `/api/v1/namespaces/${namespace}/pods`
    const remove = (pod: KubeObject) =>
      admin.call({ method: 'DELETE', path: `${collection}/${nameOf(pod)}`, subject: nameOf(pod) })

    for (let missing = wanted - current.length; missing > 0; missing--) {
      const owner = `${nameOf(deployment)}-${hash}`
      const metadata = {
        ...metadataOf(template),
        generateName: `${owner}-`,
        namespace,
        labels: { ...labelsOf(template), [HASH]: hash },
        ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: owner, uid: owner, controller: true }],
      }
      const body = { apiVersion: 'v1', kind: 'Pod', metadata, spec: template['spec'] }
      await admin.call({ method: 'POST', path: collection, subject: `a pod of ${owner}`, body })
    }
    for (const pod of current.slice(wanted)) await remove(pod)
    const ready = current.slice(0, wanted).filter(isReady)
    if (ready.length === wanted) for (const pod of old) await remove(pod)

    const status = {
      observedGeneration: metadataOf(deployment)['generation'],
      replicas: own.length,
      updatedReplicas: current.length,
      readyReplicas: ready.length,
      availableReplicas: ready.length,
      unavailableReplicas: Math.max(0, wanted - ready.length),
    }
    const before = asRecord(deployment['status']) ?? {}
    if (!same({ ...before, ...status }, before)) state.setDeploymentStatus(namespace, nameOf(deployment), status)
  }
}

function ownerOf(pod: KubeObject): string {
  const [owner] = records(metadataOf(pod)['ownerReferences'])
  return String(owner?.['name'])
}
