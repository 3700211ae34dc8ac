import type { Clock } from '../service/clock.ts'
import type { Call, Connection } from './connection.ts'
import { KubernetesError } from './errors.ts'
import { microTime } from './micro-time.ts'
import type {
  AccessQuestion,
  JsonPatchOperation,
  KubernetesEvent,
  KubernetesObject,
  Lease,
  Scale,
  Secret,
  ServerVersion,
} from './types.ts'

const MAX_NOTE = 1024
const PAGE = 500
/** A list longer than this many pages is not one that the programs ask for. */
const MAX_PAGES = 20
const MERGE_PATCH = 'application/merge-patch+json'
const JSON_PATCH = 'application/json-patch+json'

/** Exactly the calls the programs make. Every method rejects with KubernetesError and nothing else. */
export interface KubernetesClient {
  /** The API server's own version; needs no right. */
  serverVersion(signal?: AbortSignal): Promise<ServerVersion>
  secret(namespace: string, name: string, signal?: AbortSignal): Promise<Secret>
  createSecret(secret: Secret, signal?: AbortSignal): Promise<Secret>
  /** Whole replacement; with `metadata.resourceVersion` a `conflict` when somebody else wrote meanwhile. */
  replaceSecret(secret: Secret, signal?: AbortSignal): Promise<Secret>
  webhookConfiguration(name: string, signal?: AbortSignal): Promise<KubernetesObject>
  /** `fieldManager` says in the object who wrote what. A failing `test` is a `conflict`. */
  patchWebhookConfiguration(
    name: string,
    operations: readonly JsonPatchOperation[],
    fieldManager: string,
    signal?: AbortSignal,
  ): Promise<KubernetesObject>
  lease(namespace: string, name: string, signal?: AbortSignal): Promise<Lease>
  createLease(lease: Lease, signal?: AbortSignal): Promise<Lease>
  /** Needs `metadata.resourceVersion`. Beware: a lease that does not exist is created, whatever version is given. */
  replaceLease(lease: Lease, signal?: AbortSignal): Promise<Lease>
  deployment(namespace: string, name: string, signal?: AbortSignal): Promise<KubernetesObject>
  /** All pages of one consistent list. */
  deployments(namespace: string, labelSelector: string, signal?: AbortSignal): Promise<KubernetesObject[]>
  statefulSets(namespace: string, labelSelector: string, signal?: AbortSignal): Promise<KubernetesObject[]>
  deploymentScale(namespace: string, name: string, signal?: AbortSignal): Promise<Scale>
  /** Sets the wanted replicas if they still are `from`; `conflict` otherwise. */
  scaleDeployment(namespace: string, name: string, from: number, to: number, signal?: AbortSignal): Promise<Scale>
  /** All pages of one consistent list. */
  pods(namespace: string, labelSelector: string, signal?: AbortSignal): Promise<KubernetesObject[]>
  /** Sets one annotation of a pod and leaves the others. */
  annotatePod(namespace: string, name: string, annotation: string, value: string, signal?: AbortSignal): Promise<void>
  /** All pages of one consistent list. */
  horizontalPodAutoscalers(namespace: string, signal?: AbortSignal): Promise<KubernetesObject[]>
  /** KEDA's; none where KEDA is not installed. */
  scaledObjects(namespace: string, signal?: AbortSignal): Promise<KubernetesObject[]>
  createEvent(event: KubernetesEvent, signal?: AbortSignal): Promise<void>
  /** Whether the caller itself may do this. */
  allowed(question: AccessQuestion, signal?: AbortSignal): Promise<boolean>
}

const SECRETS = '/api/v1'
const LEASES = '/apis/coordination.k8s.io/v1'
const APPS = '/apis/apps/v1'
const AUTOSCALING = '/apis/autoscaling/v2'
const KEDA = '/apis/keda.sh/v1alpha1'
const WEBHOOKS = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations'

export function createKubernetesClient({
  connection,
  clock,
}: {
  connection: Connection
  clock: Clock
}): KubernetesClient {
  async function object(call: Call): Promise<KubernetesObject> {
    return asObject(call, await connection.call(call))
  }
  const named = (root: string, namespace: string, plural: string, name: string) => ({
    path: `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}/${encodeURIComponent(name)}`,
    subject: `${plural} ${namespace}/${name}`,
  })
  const get = (at: { path: string; subject: string }, signal?: AbortSignal) =>
    object({ method: 'GET', ...at, ...(signal && { signal }) })
  const put = (at: { path: string; subject: string }, body: KubernetesObject, signal?: AbortSignal) =>
    object({ method: 'PUT', ...at, body, ...(signal && { signal }) })
  const post = (root: string, plural: string, body: KubernetesObject, signal?: AbortSignal) => {
    const { namespace = '', name } = body.metadata
    const path = `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}`
    return object({ method: 'POST', path, subject: `${plural} ${namespace}/${name}`, body, ...(signal && { signal }) })
  }
  async function selected(
    root: string,
    namespace: string,
    plural: string,
    labelSelector: string,
    signal?: AbortSignal,
  ): Promise<KubernetesObject[]> {
    const path = `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}`
    const call: Call = { method: 'GET', path, subject: `${plural} ${namespace}`, ...(signal && { signal }) }
    return (await listAll(connection, call, labelSelector === '' ? {} : { labelSelector })).items
  }
  const placeOf = (root: string, plural: string, { metadata }: KubernetesObject) =>
    named(root, metadata.namespace ?? '', plural, metadata.name)
  const webhookAt = (name: string) => ({
    path: `${WEBHOOKS}/${encodeURIComponent(name)}`,
    subject: `mutatingwebhookconfigurations ${name}`,
  })
  const scaleAt = (namespace: string, name: string) => {
    const { path } = named(APPS, namespace, 'deployments', name)
    return { path: `${path}/scale`, subject: `deployments/scale ${namespace}/${name}` }
  }

  return {
    serverVersion: async signal => {
      const call: Call = { method: 'GET', path: '/version', subject: 'version', ...(signal && { signal }) }
      const { major, minor } = recordOf(await connection.call(call))
      // Some providers write the minor version as `29+`.
      const [whole, part] = [major, minor].map(text => Number.parseInt(typeof text === 'string' ? text : '', 10))
      if (whole === undefined || part === undefined || Number.isNaN(whole + part)) throw misshapen(call)
      return { major: whole, minor: part }
    },
    secret: (namespace, name, signal) => get(named(SECRETS, namespace, 'secrets', name), signal),
    createSecret: (secret, signal) => post(SECRETS, 'secrets', secret, signal),
    replaceSecret: (secret, signal) => put(placeOf(SECRETS, 'secrets', secret), secret, signal),
    webhookConfiguration: (name, signal) => get(webhookAt(name), signal),
    patchWebhookConfiguration: (name, operations, fieldManager, signal) =>
      object({
        method: 'PATCH',
        ...webhookAt(name),
        query: { fieldManager },
        body: operations,
        contentType: JSON_PATCH,
        ...(signal && { signal }),
      }),
    lease: (namespace, name, signal) => get(named(LEASES, namespace, 'leases', name), signal),
    createLease: (lease, signal) => post(LEASES, 'leases', lease, signal),
    replaceLease: (lease, signal) => put(placeOf(LEASES, 'leases', lease), lease, signal),
    deployment: (namespace, name, signal) => get(named(APPS, namespace, 'deployments', name), signal),
    deploymentScale: async (namespace, name, signal) => scaleOf(await get(scaleAt(namespace, name), signal)),
    scaleDeployment: async (namespace, name, from, to, signal) => {
      // At zero the field is left out, and a test of an absent field holds against null only.
      const guard = { op: 'test', path: '/spec/replicas', value: from === 0 ? null : from }
      const body = [guard, { op: 'add', path: '/spec/replicas', value: to }]
      const at = scaleAt(namespace, name)
      return scaleOf(await object({ method: 'PATCH', ...at, body, contentType: JSON_PATCH, ...(signal && { signal }) }))
    },
    deployments: (namespace, selector, signal) => selected(APPS, namespace, 'deployments', selector, signal),
    statefulSets: (namespace, selector, signal) => selected(APPS, namespace, 'statefulsets', selector, signal),
    pods: (namespace, selector, signal) => selected('/api/v1', namespace, 'pods', selector, signal),
    annotatePod: async (namespace, name, annotation, value, signal) => {
      const at = named('/api/v1', namespace, 'pods', name)
      const body = { metadata: { annotations: { [annotation]: value } } }
      await object({ method: 'PATCH', ...at, body, contentType: MERGE_PATCH, ...(signal && { signal }) })
    },
    horizontalPodAutoscalers: (namespace, signal) =>
      selected(AUTOSCALING, namespace, 'horizontalpodautoscalers', '', signal),
    scaledObjects: async (namespace, signal) => {
      try {
        return await selected(KEDA, namespace, 'scaledobjects', '', signal)
      } catch (error) {
        if (error instanceof KubernetesError && error.kind === 'not_found') return []
        throw error
      }
    },
    createEvent: async (event, signal) => {
      const { namespace } = event.regarding
      await connection.call({
        method: 'POST',
        path: `/apis/events.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/events`,
        subject: `events ${namespace}`,
        body: {
          apiVersion: 'events.k8s.io/v1',
          kind: 'Event',
          metadata: { generateName: 'gitlab-runner-hadr-', namespace },
          eventTime: microTime(clock.wallMs()),
          ...event,
          note: event.note.slice(0, MAX_NOTE),
        },
        ...(signal && { signal }),
      })
    },
    allowed: async (question, signal) => {
      const answer = await object({
        method: 'POST',
        path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
        subject: `selfsubjectaccessreviews for ${question.verb} ${question.resource}`,
        body: {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SelfSubjectAccessReview',
          spec: { resourceAttributes: question },
        },
        ...(signal && { signal }),
      })
      return recordOf(answer['status'])['allowed'] === true
    },
  }
}

export interface ObjectList {
  items: KubernetesObject[]
  /** Where a watch goes on. */
  resourceVersion: string
}

/** All pages of one consistent list; `call` without its query. */
export async function listAll(
  connection: Connection,
  call: Call,
  query: Readonly<Record<string, string>>,
): Promise<ObjectList> {
  const items: KubernetesObject[] = []
  let next = ''
  for (let page = 0; page < MAX_PAGES; page++) {
    const paged = { ...query, limit: String(PAGE), ...(next !== '' && { continue: next }) }
    const list = recordOf(await connection.call({ ...call, query: paged }))
    const metadata = recordOf(list['metadata'])
    const { items: found } = list
    if (!Array.isArray(found)) throw misshapen(call)
    items.push(...found.map(item => asObject(call, item)))
    next = typeof metadata['continue'] === 'string' ? metadata['continue'] : ''
    const { resourceVersion } = metadata
    if (next === '') return { items, resourceVersion: typeof resourceVersion === 'string' ? resourceVersion : '' }
  }
  throw new KubernetesError('refused', `GET ${call.subject}`, `holds more than ${PAGE * MAX_PAGES} objects`)
}

/** Throws `invalid_answer` for what has no metadata. */
export function asObject(call: Call, value: unknown): KubernetesObject {
  const metadata = recordOf(value)['metadata']
  if (typeof metadata !== 'object' || metadata === null) throw misshapen(call)
  return value as KubernetesObject
}

function misshapen({ method, subject }: Call): KubernetesError {
  return new KubernetesError('invalid_answer', `${method} ${subject}`, 'the answer is no API object')
}

function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function scaleOf(object: KubernetesObject): Scale {
  const number = (value: unknown) => (typeof value === 'number' ? value : 0)
  const status = recordOf(object['status'])
  return {
    wanted: number(recordOf(object['spec'])['replicas']),
    present: number(status['replicas']),
    selector: typeof status['selector'] === 'string' ? status['selector'] : '',
  }
}
