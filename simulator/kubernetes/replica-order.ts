import { asRecord, asString, labelsOf, metadataOf, nameOf, records, type KubeObject } from './values.ts'

const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost'
const PHASES = ['Pending', 'Unknown', 'Running']

/** Neither finished nor told to end: what a ReplicaSet counts. */
export function isActive(pod: KubeObject): boolean {
  const phase = phaseOf(pod)
  return metadataOf(pod)['deletionTimestamp'] === undefined && phase !== 'Succeeded' && phase !== 'Failed'
}

export function isReady(pod: KubeObject): boolean {
  return readyCondition(pod)?.['status'] === 'True'
}

export function matchesSelector(deployment: KubeObject, pod: KubeObject): boolean {
  const wanted = asRecord(asRecord(asRecord(deployment['spec'])?.['selector'])?.['matchLabels']) ?? {}
  const labels = labelsOf(pod)
  return Object.entries(wanted).every(([name, value]) => labels[name] === value)
}

/**
 * Pods in the order in which a ReplicaSet gives them up (Kubernetes' `ActivePodsWithRanks`): not yet on a node, then by
 * phase, then not ready, then the lower deletion cost, then those whose node has more of them, then those ready for a
 * shorter time, then the younger; names decide the rest. The real one compares times on a logarithmic scale.
 */
export function rankForDeletion(pods: readonly KubeObject[]): KubeObject[] {
  const onNode = new Map<string, number>()
  for (const pod of pods) onNode.set(nodeOf(pod), (onNode.get(nodeOf(pod)) ?? 0) + 1)
  const ranks = new Map(
    pods.map(pod => [
      pod,
      [
        nodeOf(pod) === '' ? 0 : 1,
        PHASES.indexOf(phaseOf(pod)),
        isReady(pod) ? 1 : 0,
        Number(asString(asRecord(metadataOf(pod)['annotations'])?.[DELETION_COST]) ?? 0),
        -(onNode.get(nodeOf(pod)) ?? 0),
        -Date.parse(asString(readyCondition(pod)?.['lastTransitionTime']) ?? '1970-01-01'),
        -Date.parse(asString(metadataOf(pod)['creationTimestamp']) ?? '1970-01-01'),
      ],
    ]),
  )
  return [...pods].sort((a, b) => {
    const [left = [], right = []] = [ranks.get(a), ranks.get(b)]
    const at = left.findIndex((value, index) => value !== right[index])
    return at < 0 ? (nameOf(a) < nameOf(b) ? -1 : 1) : (left[at] ?? 0) - (right[at] ?? 0)
  })
}

function phaseOf(pod: KubeObject): string {
  return asString(asRecord(pod['status'])?.['phase']) ?? 'Pending'
}

function nodeOf(pod: KubeObject): string {
  return asString(asRecord(pod['spec'])?.['nodeName']) ?? ''
}

function readyCondition(pod: KubeObject): KubeObject | undefined {
  return records(asRecord(pod['status'])?.['conditions']).find(condition => condition['type'] === 'Ready')
}
