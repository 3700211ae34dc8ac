import { field, isObject, textField } from './json.ts'
import { INJECT_LABEL, SYSTEM_NAMESPACES } from './names.ts'
import type { SkipReason } from './reasons.ts'

/** What an admission request says besides the pod; absent texts are empty. */
export interface TargetRequest {
  operation: string
  group: string
  version: string
  kind: string
  subResource: string
  namespace: string
}

export interface TargetConfig {
  /** Where the webhook itself runs. */
  ownNamespace: string
}

export type Target = { inject: true } | { skip: SkipReason }

interface Facts {
  pod: unknown
  request: TargetRequest
  config: TargetConfig
  metadata: unknown
  spec: unknown
  labels: unknown
  annotations: unknown
}

/**
 * Whether a pod is a runner manager that gets the sidecar. Decides from the pod and the request alone, as if neither
 * selectors nor match conditions had been there, since both can be edited. That the namespace opted in is not in the
 * request: only the namespace selector knows.
 *
 * The rules are asked in order and the first that holds gives the reason. Those that keep CI jobs safe come before
 * those that recognise a runner, because a CI user can put a runner's labels on a job pod
 * (`KUBERNETES_POD_LABELS_*`), but can neither remove the labels in the namespace `runner.gitlab.com` nor change the
 * pod's name or its restartPolicy.
 */
export function target(pod: unknown, request: TargetRequest, config: TargetConfig): Target {
  const metadata = field(pod, 'metadata')
  const facts: Facts = {
    pod,
    request,
    config,
    metadata,
    spec: field(pod, 'spec'),
    labels: field(metadata, 'labels'),
    annotations: field(metadata, 'annotations'),
  }
  for (const [reason, holds] of RULES) if (holds(facts)) return { skip: reason }
  return { inject: true }
}

const RULES: readonly (readonly [SkipReason, (facts: Facts) => boolean])[] = [
  ['notPodCreation', ({ request }) => !createsPod(request)],
  ['protectedNamespace', ({ request, config }) => isProtected(request.namespace, config)],
  ['malformedPod', ({ metadata, spec }) => !isObject(metadata) || !isObject(spec)],
  ['optedOut', ({ labels }) => OPT_OUT.test(textField(labels, INJECT_LABEL) ?? '')],
  ['mirrorPod', ({ annotations }) => field(annotations, 'kubernetes.io/config.mirror') !== undefined],
  ['pausePod', ({ labels }) => hasKey(labels, PAUSE_KEY)],
  ['ciJobPod', isJobPod],
  ['notRestarted', ({ spec }) => (field(spec, 'restartPolicy') ?? 'Always') !== 'Always'],
  ['hostNetwork', ({ spec }) => (field(spec, 'hostNetwork') ?? false) !== false],
  ['notRunner', ({ labels }) => !isRunner(labels)],
]

/** `disabled` is the word; the others are what people write when they mean it, and opting out always wins. */
const OPT_OUT = /^(?:disabled?|false|no|off|never)$/i

function createsPod({ operation, group, version, kind, subResource }: TargetRequest): boolean {
  return operation === 'CREATE' && group === '' && version === 'v1' && kind === 'Pod' && subResource === ''
}

function isProtected(namespace: string, { ownNamespace }: TargetConfig): boolean {
  return namespace === ownNamespace || SYSTEM_NAMESPACES.includes(namespace)
}

function hasKey(map: unknown, pattern: RegExp): boolean {
  return isObject(map) && Object.keys(map).some(key => pattern.test(key))
}

// gitlab-runner compares the namespace of its own labels without regard to case, so we do.
const PAUSE_KEY = /^runner\.gitlab\.com\/pause-pod$/i
/** Labels since gitlab-runner 17.9, annotations since 15.9; only job pods and pause pods have them. */
const JOB_KEY = /^(?:job|project|manager)\.runner\.gitlab\.com\//i
const GITHUB_KEY = /^actions\.github\.com\//i
/** gitlab-runner's executors/kubernetes: the name of every version's job pods, also the value of their label `pod`. */
const JOB_NAME = /^runner-.+-project-\d+-concurrent-\d+/

function isJobPod({ metadata, labels, annotations }: Facts): boolean {
  return (
    hasKey(labels, JOB_KEY) ||
    hasKey(annotations, JOB_KEY) ||
    JOB_NAME.test(textField(metadata, 'name') ?? '') ||
    JOB_NAME.test(textField(metadata, 'generateName') ?? '') ||
    JOB_NAME.test(textField(labels, 'pod') ?? '')
  )
}

function isRunner(labels: unknown): boolean {
  const label = (key: string) => textField(labels, key) ?? ''
  const app = label('app')
  return (
    label(INJECT_LABEL) === 'enabled' ||
    label('chart').startsWith('gitlab-runner-') ||
    app.startsWith('gitlab-runner') ||
    app.endsWith('-gitlab-runner') ||
    label('app.kubernetes.io/name') === 'gitlab-runner' ||
    (label('app.kubernetes.io/component') === 'runner' && !isGitHubs(labels))
  )
}

/** GitHub's Actions Runner Controller labels its pods `component: runner` too. */
function isGitHubs(labels: unknown): boolean {
  const partOf = textField(labels, 'app.kubernetes.io/part-of') ?? ''
  return partOf.startsWith('gha-runner-scale-set') || hasKey(labels, GITHUB_KEY)
}
