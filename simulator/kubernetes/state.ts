import type { Grant, User } from './access.ts'
import type { Endpoint } from './admission/caller.ts'
import type { AuditEvent, Context } from './context.ts'
import { stampCreation } from './metadata.ts'
import { kindOf } from './kinds/index.ts'
import { apiVersionOf, RESOURCES, type ResourceType } from './resources.ts'
import { asString, ensureRecord, metadataOf, nameOf, type KubeObject } from './values.ts'

/** One request as the server saw it. */
export interface SeenRequest {
  atMs: number
  /** As RBAC names it. */
  verb: string
  resource: string
  username: string
}

export type StoredKind = keyof typeof RESOURCES

/** What a test or a demonstration sets up and looks at, past the API. */
export interface KubernetesState {
  addNamespace(name: string, labels?: Readonly<Record<string, string>>): void
  addServiceAccount(namespace: string, name: string): void
  /** A bearer token; without grants its user may do nothing once RBAC is enforced. */
  addToken(token: string, user: User, grants?: readonly Grant[] | 'everything'): void
  removeToken(token: string): void
  enforceRbac(enforced: boolean): void
  /** A Service that webhooks can be called through; each new connection asks for an endpoint. */
  addService(namespace: string, name: string, endpoint: Endpoint): void
  /** Puts an object there as a controller would: defaults, no validation, no admission. Replaces one of its name. */
  put(kind: StoredKind, object: KubeObject): KubeObject
  get(kind: StoredKind, namespace: string, name: string): KubeObject | undefined
  list(kind: StoredKind, namespace?: string): KubeObject[]
  remove(kind: StoredKind, namespace: string, name: string): void
  /** Writes a Deployment's status as its controller would. */
  setDeploymentStatus(namespace: string, name: string, status: KubeObject): void
  /** Changes an object in place, past the API; nothing happens when there is none. */
  change(kind: StoredKind, namespace: string, name: string, edit: (object: KubeObject) => void): void
  /** Calls the listener after each write; the returned function ends that. */
  onChange(listener: () => void): () => void
  /** Writes a Pod's status as its kubelet would. */
  setPodStatus(namespace: string, name: string, status: KubeObject): void
  /** Old versions can no longer be watched: 410 for whoever resumes. */
  forgetHistory(): void
  /** Open watches stay open and silent, as on a half-open connection. What happens meanwhile is not sent later. */
  freezeWatches(frozen: boolean): void
  /** The newest resourceVersion. */
  readonly version: number
  readonly audits: readonly AuditEvent[]
  readonly requests: SeenRequest[]
}

export function createState(context: Context): KubernetesState {
  const { store, access, caller } = context

  function put(type: ResourceType, object: KubeObject): KubeObject {
    const copy = structuredClone({ kind: type.kind, apiVersion: apiVersionOf(type), ...object })
    const metadata = metadataOf(copy)
    const namespace = type.namespaced ? (asString(metadata['namespace']) ?? 'default') : ''
    if (type.namespaced) metadata['namespace'] = namespace
    kindOf(type).decode(copy)
    stampCreation(context, copy, { type, namespace })
    return store.put(type, namespace, nameOf(copy), copy)
  }

  function setStatus(type: ResourceType, namespace: string, name: string, status: KubeObject): void {
    const object = store.get(type, namespace, name)
    if (!object) throw new Error(`no ${type.kind} ${namespace}/${name}`)
    Object.assign(ensureRecord(object, 'status'), status)
    store.put(type, namespace, name, object)
  }

  const addNamespace = (name: string, labels: Readonly<Record<string, string>> = {}) => {
    put(RESOURCES.namespaces, { metadata: { name, labels: { ...labels } } })
  }
  for (const name of ['default', 'kube-system', 'kube-public', 'kube-node-lease']) addNamespace(name)

  return {
    addNamespace,
    addServiceAccount: (namespace, name) => {
      put(RESOURCES.serviceAccounts, { metadata: { name, namespace } })
    },
    addToken: (token, user, grants = []) => access.addToken(token, user, grants),
    removeToken: token => access.removeToken(token),
    enforceRbac: enforced => {
      access.enforced = enforced
    },
    addService: (namespace, name, endpoint) => caller.addService(namespace, name, endpoint),
    put: (kind, object) => put(RESOURCES[kind], object),
    get: (kind, namespace, name) => store.get(RESOURCES[kind], namespace, name),
    list: (kind, namespace = '') => store.list(RESOURCES[kind], namespace).map(([, object]) => structuredClone(object)),
    remove: (kind, namespace, name) => store.remove(RESOURCES[kind], namespace, name),
    setDeploymentStatus: (namespace, name, status) => setStatus(RESOURCES.deployments, namespace, name, status),
    setPodStatus: (namespace, name, status) => setStatus(RESOURCES.pods, namespace, name, status),
    change: (kind, namespace, name, edit) => {
      const object = store.get(RESOURCES[kind], namespace, name)
      if (!object) return
      edit(object)
      store.put(RESOURCES[kind], namespace, name, object)
    },
    onChange: listener => store.subscribe(listener),
    forgetHistory: () => store.forgetHistory(),
    freezeWatches: frozen => {
      context.watchesFrozen = frozen
    },
    get version() {
      return store.version
    },
    get audits() {
      return context.audits
    },
    requests: [],
  }
}
