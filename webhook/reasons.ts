/**
 * Why a pod gets no sidecar: a closed set, used alike as metric label, in the log, in the audit annotation and in the
 * warning that a user reads.
 */
export const SKIP_REASONS = {
  notPodCreation: 'the request does not create a pod',
  protectedNamespace: 'the namespace belongs to Kubernetes or to gitlab-runner-hadr itself',
  malformedPod: 'the pod is not valid as it is',
  optedOut: 'the label gitlab-runner-hadr.io/inject opts the pod out',
  mirrorPod: 'the pod mirrors a static pod of its node',
  ciJobPod: 'the pod runs a CI job',
  pausePod: 'the pod only keeps room for CI jobs',
  notRestarted: "the pod's restartPolicy is not Always",
  hostNetwork: 'the pod is on the network of its host, where its ports would be ports of the host',
  notRunner: 'the pod has none of the labels of a GitLab runner',
  containerNameTaken: 'another container is named gitlab-runner-hadr',
  volumeNameTaken: 'another volume has a name that the sidecar needs',
  portTaken: 'another container declares port 9254 or a port named hadr-metrics',
  alreadyInjected: 'the pod has its sidecar already',
  unsafePatch: 'the pod with its sidecar could not be shown to be valid',
} as const

export type SkipReason = keyof typeof SKIP_REASONS

/** Reasons that surprise whoever created the pod. The others are the normal case in an opted-in namespace. */
const SURPRISING: ReadonlySet<SkipReason> = new Set([
  'hostNetwork',
  'containerNameTaken',
  'volumeNameTaken',
  'portTaken',
  'unsafePatch',
])

/** What to tell the user; undefined when the reason is no news to anybody. */
export function warningFor(reason: SkipReason): string | undefined {
  return SURPRISING.has(reason) ? `no sidecar: ${SKIP_REASONS[reason]}` : undefined
}
