/** A kind of object that the simulated server stores. */
export interface ResourceType {
  group: string
  version: string
  plural: string
  kind: string
  namespaced: boolean
  /** Objects of one storage are one set, whatever group they are read through. */
  storage: string
  subresources: readonly string[]
}

const CORE = { group: '', version: 'v1' } as const

function namespaced(group: string, plural: string, kind: string, subresources: readonly string[] = []): ResourceType {
  return { group, version: 'v1', plural, kind, namespaced: true, storage: plural, subresources }
}

function shared(group: string, plural: string, kind: string): ResourceType {
  return { group, version: 'v1', plural, kind, namespaced: false, storage: plural, subresources: [] }
}

const RIGHTS = 'rbac.authorization.k8s.io'
const OPERATOR = 'monitoring.coreos.com'

/** What the programs of this project touch, what their manifests consist of, and nothing else. */
export const RESOURCES = {
  pods: namespaced('', 'pods', 'Pod', ['status']),
  secrets: namespaced('', 'secrets', 'Secret'),
  configMaps: namespaced('', 'configmaps', 'ConfigMap'),
  services: namespaced('', 'services', 'Service', ['status']),
  resourceQuotas: namespaced('', 'resourcequotas', 'ResourceQuota', ['status']),
  limitRanges: namespaced('', 'limitranges', 'LimitRange'),
  serviceAccounts: namespaced('', 'serviceaccounts', 'ServiceAccount'),
  roles: namespaced(RIGHTS, 'roles', 'Role'),
  roleBindings: namespaced(RIGHTS, 'rolebindings', 'RoleBinding'),
  clusterRoles: shared(RIGHTS, 'clusterroles', 'ClusterRole'),
  clusterRoleBindings: shared(RIGHTS, 'clusterrolebindings', 'ClusterRoleBinding'),
  disruptionBudgets: namespaced('policy', 'poddisruptionbudgets', 'PodDisruptionBudget', ['status']),
  networkPolicies: namespaced('networking.k8s.io', 'networkpolicies', 'NetworkPolicy'),
  podMonitors: namespaced(OPERATOR, 'podmonitors', 'PodMonitor'),
  prometheusRules: namespaced(OPERATOR, 'prometheusrules', 'PrometheusRule'),
  coreEvents: namespaced('', 'events', 'Event'),
  namespaces: {
    ...CORE,
    plural: 'namespaces',
    kind: 'Namespace',
    namespaced: false,
    storage: 'namespaces',
    subresources: [],
  },
  events: namespaced('events.k8s.io', 'events', 'Event'),
  leases: namespaced('coordination.k8s.io', 'leases', 'Lease'),
  deployments: namespaced('apps', 'deployments', 'Deployment', ['scale', 'status']),
  statefulsets: namespaced('apps', 'statefulsets', 'StatefulSet', ['status']),
  horizontalPodAutoscalers: {
    ...namespaced('autoscaling', 'horizontalpodautoscalers', 'HorizontalPodAutoscaler', ['status']),
    version: 'v2',
  },
  scaledObjects: {
    ...namespaced('keda.sh', 'scaledobjects', 'ScaledObject', ['status']),
    version: 'v1alpha1',
  },
  webhookConfigurations: {
    group: 'admissionregistration.k8s.io',
    version: 'v1',
    plural: 'mutatingwebhookconfigurations',
    kind: 'MutatingWebhookConfiguration',
    namespaced: false,
    storage: 'mutatingwebhookconfigurations',
    subresources: [],
  },
} as const satisfies Record<string, ResourceType>

const GROUPS = new Set([
  ...Object.values(RESOURCES).map(({ group }) => group),
  'authorization.k8s.io',
  'authentication.k8s.io',
])

export function isKnownGroup(group: string): boolean {
  return GROUPS.has(group)
}

/** Where a request goes. Without `name` it is about the whole collection. */
export interface Route {
  type: ResourceType
  namespace: string
  name?: string
  subresource?: string
}

export interface ParsedPath {
  group: string
  version: string
  namespace: string
  plural: string
  name?: string
  subresource?: string
}

/** Takes an API path apart; undefined for a path that names no resource. */
export function parsePath(pathname: string): ParsedPath | undefined {
  const parts = pathname.split('/').slice(1).map(decodeURIComponent)
  const root = parts.shift()
  const group = root === 'apis' ? parts.shift() : root === 'api' ? '' : undefined
  const version = parts.shift()
  if (group === undefined || version === undefined || parts[0] === undefined || parts[0] === '') return undefined
  const inNamespace = parts[0] === 'namespaces' && parts.length > 2
  const namespace = inNamespace ? (parts[1] ?? '') : ''
  const [plural = '', name, subresource] = inNamespace ? parts.slice(2) : parts
  return {
    group,
    version,
    namespace,
    plural,
    ...(name !== undefined && { name }),
    ...(subresource !== undefined && { subresource }),
  }
}

export function findType({ group, version, plural }: ParsedPath): ResourceType | undefined {
  return Object.values(RESOURCES).find(
    type => type.group === group && type.version === version && type.plural === plural,
  )
}

export function apiVersionOf({ group, version }: { group: string; version: string }): string {
  return group === '' ? version : `${group}/${version}`
}
