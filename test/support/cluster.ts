import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { parseAllDocuments } from 'yaml'
import { openConnection, parseKubeConfig, type Connection } from '../../lib/kubernetes/connection.ts'
import type { KubernetesObject } from '../../lib/kubernetes/types.ts'
import { systemClock } from '../../lib/service/clock.ts'
import type { Grant, Rule } from '../../simulator/kubernetes/access.ts'
import type { SimulatedKubernetes } from '../../simulator/kubernetes/server.ts'
import { startApi } from './kubernetes.ts'
import { startRealKubernetes } from './real-kubernetes.ts'

const NAMESPACE = 'gitlab-runner-hadr'
const SERVICE = 'gitlab-runner-hadr-webhook'

/** An API server with the webhook's manifests in it, real or simulated. Nothing of it is running yet. */
export interface Cluster {
  /** As an administrator. */
  admin: Connection
  /** A kubeconfig of the webhook's own service account, with its rights and no others. */
  kubeconfig: string
  addNamespace(name: string, labels: Readonly<Record<string, string>>): Promise<void>
  /** Names of the webhooks whose calls failed so far and were forgiven; undefined where nobody can tell. */
  forgiven(): readonly string[] | undefined
}

const CORE = '/api/v1'
const RIGHTS = '/apis/rbac.authorization.k8s.io/v1'
/** Where objects of the manifests are created. What needs controllers or nodes to mean anything is left out. */
const PLACES: Readonly<Record<string, { root: string; plural: string }>> = {
  Namespace: { root: CORE, plural: 'namespaces' },
  ServiceAccount: { root: CORE, plural: 'serviceaccounts' },
  Secret: { root: CORE, plural: 'secrets' },
  Service: { root: CORE, plural: 'services' },
  Role: { root: RIGHTS, plural: 'roles' },
  RoleBinding: { root: RIGHTS, plural: 'rolebindings' },
  ClusterRole: { root: RIGHTS, plural: 'clusterroles' },
  ClusterRoleBinding: { root: RIGHTS, plural: 'clusterrolebindings' },
  MutatingWebhookConfiguration: {
    root: '/apis/admissionregistration.k8s.io/v1',
    plural: 'mutatingwebhookconfigurations',
  },
}
const ORDER = Object.keys(PLACES)

/** The objects of `manifests/base`, in an order in which they can be created. */
export function baseObjects(folder = 'manifests/base'): KubernetesObject[] {
  const files = readdirSync(folder).filter(file => file.endsWith('.yaml'))
  const objects = files.flatMap(file =>
    parseAllDocuments(readFileSync(join(folder, file), 'utf8')).map(document => document.toJS() as KubernetesObject),
  )
  return objects
    .filter(({ kind = '' }) => kind in PLACES)
    .toSorted((a, b) => ORDER.indexOf(a.kind ?? '') - ORDER.indexOf(b.kind ?? ''))
}

async function create(admin: Connection, object: KubernetesObject): Promise<unknown> {
  const { kind = '', metadata } = object
  const place = PLACES[kind]
  if (place === undefined) throw new Error(`no place for a ${kind}`)
  const within = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`
  const path = `${place.root}${within}/${place.plural}`
  return admin.call({ method: 'POST', path, subject: `${kind} ${metadata.name}`, body: object }, 10_000)
}

async function connect(t: Test, url: string, caPem: string, token: string): Promise<Connection> {
  const kubeConfig = parseKubeConfig(kubeconfigOf(url, caPem, token))
  const connection = await openConnection({ kubeConfig, clock: systemClock, userAgent: 'test', callDeadlineMs: 20_000 })
  t.teardown(() => connection.close())
  return connection
}

function kubeconfigOf(url: string, caPem: string, token: string): string {
  const ca = Buffer.from(caPem).toString('base64')
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server: url, 'certificate-authority-data': ca } }],
    users: [{ name: 'test', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    'current-context': 'test',
  })
}

/** The simulated API server; the webhook's Service leads to `servicePort` on loopback. */
export async function startSimulatedCluster(t: Test, servicePort: number): Promise<Cluster> {
  const api = await startApi(t, { rbac: true })
  const admin = await connect(t, api.url, api.caPem, 'test-token')
  api.state.addService(NAMESPACE, SERVICE, () => ({ host: '127.0.0.1', port: servicePort }))
  const objects = baseObjects()
  for (const object of objects) {
    if (['Namespace', 'Secret', 'MutatingWebhookConfiguration'].includes(object.kind ?? '')) await create(admin, object)
  }
  api.state.addToken('webhook', { username: `system:serviceaccount:${NAMESPACE}:${SERVICE}` }, grantsOf(objects))
  return {
    admin,
    kubeconfig: api.kubeconfig('webhook'),
    addNamespace: (name, labels) => {
      api.state.addNamespace(name, labels)
      return Promise.resolve()
    },
    forgiven: () => forgivenOf(api),
  }
}

/** Every role of the manifests is bound to the webhook's service account. */
function grantsOf(objects: readonly KubernetesObject[]): Grant[] {
  return objects
    .filter(({ kind }) => kind === 'Role' || kind === 'ClusterRole')
    .map(({ metadata, rules }) => ({
      role: metadata.name,
      ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
      rules: rules as Rule[],
    }))
}

function forgivenOf({ state }: SimulatedKubernetes): string[] {
  return state.audits.flatMap(({ annotations }) =>
    Object.entries(annotations).flatMap(([key, name]) => (key.startsWith('failed-open.') ? [name] : [])),
  )
}

/** A kube-apiserver and an etcd from the folder `assets`; the webhook's Service leads to `servicePort` on loopback. */
export async function startRealCluster(t: Test, servicePort: number, assets: string): Promise<Cluster> {
  const { url, caPem, adminToken } = await startRealKubernetes(t, assets)
  const admin = await connect(t, url, caPem, adminToken)
  for (const object of baseObjects()) await create(admin, ledTo(object, servicePort))
  const issued = (await admin.call({
    method: 'POST',
    path: `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/${SERVICE}/token`,
    subject: `token of ${SERVICE}`,
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
  })) as { status: { token: string } }
  return {
    admin,
    kubeconfig: kubeconfigOf(url, caPem, issued.status.token),
    addNamespace: async (name, labels) => {
      await create(admin, { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } })
      // No controller makes it, and pods without it are refused.
      await create(admin, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: name } })
    },
    forgiven: () => undefined,
  }
}

/**
 * There is no network of Services: an API server calls one of type ExternalName by that name and by the port that the
 * webhook configuration says. The certificate is still asked for the Service's name.
 */
function ledTo(object: KubernetesObject, port: number): KubernetesObject {
  if (object.kind === 'Service') return { ...object, spec: { type: 'ExternalName', externalName: 'localhost' } }
  if (object.kind !== 'MutatingWebhookConfiguration') return object
  const webhooks = object['webhooks'] as { clientConfig: { service: object } }[]
  return {
    ...object,
    webhooks: webhooks.map(webhook => ({
      ...webhook,
      clientConfig: { service: { ...webhook.clientConfig.service, port } },
    })),
  }
}
