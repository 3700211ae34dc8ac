import type { KubernetesClient } from '../lib/kubernetes/client.ts'
import { KubernetesError, type KubernetesErrorKind } from '../lib/kubernetes/errors.ts'
import type { JsonPatchOperation, KubernetesObject } from '../lib/kubernetes/types.ts'
import { FIELD_MANAGER } from './names.ts'
import type { CaBundlePublisher, SecretStore, WriteOutcome } from './stores.ts'

/** A Secret of the API server. Needs `get` and `update` on that name and nothing else. */
export function createKubernetesSecretStore({
  client,
  namespace,
  name,
}: {
  client: Pick<KubernetesClient, 'secret' | 'replaceSecret'>
  namespace: string
  name: string
}): SecretStore {
  return {
    get: async signal => {
      const secret = await unlessAbsent(client.secret(namespace, name, signal))
      if (secret === undefined) return undefined
      const data = Object.entries(secret.data ?? {}).map(([key, value]) => [key, fromBase64(value)])
      return { data: Object.fromEntries(data) as Record<string, string>, resourceVersion: versionOf(secret) }
    },
    replace: async (data, resourceVersion, signal) => {
      // A replacement takes away what it does not name: labels and annotations are those of the manifests.
      const present = await unlessAbsent(client.secret(namespace, name, signal))
      if (present === undefined || versionOf(present) !== resourceVersion) return 'conflict'
      const encoded = Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')])
      const secret = { ...present, data: Object.fromEntries(encoded) as Record<string, string> }
      return outcomeOf(client.replaceSecret(secret, signal))
    },
  }
}

/** A MutatingWebhookConfiguration of the API server. Needs `get` and `patch` on that name and nothing else. */
export function createKubernetesPublisher({
  client,
  name,
}: {
  client: Pick<KubernetesClient, 'webhookConfiguration' | 'patchWebhookConfiguration'>
  name: string
}): CaBundlePublisher {
  return {
    read: async signal => {
      const configuration = await unlessAbsent(client.webhookConfiguration(name, signal))
      if (configuration === undefined) return undefined
      const bundles = webhooksOf(configuration).map(({ bundle }) => fromBase64(bundle))
      return { bundles, resourceVersion: versionOf(configuration) }
    },
    publish: async (bundle, resourceVersion, signal) => {
      const configuration = await unlessAbsent(client.webhookConfiguration(name, signal))
      if (configuration === undefined || versionOf(configuration) !== resourceVersion) return 'conflict'
      const operations = publication(webhooksOf(configuration), bundle, resourceVersion)
      return outcomeOf(client.patchWebhookConfiguration(name, operations, FIELD_MANAGER, signal))
    },
  }
}

interface Webhook {
  name: string
  /** As it is stored: base64, '' where there is none. */
  bundle: string
}

/**
 * Sets each caBundle where its webhook still stands at the place where it was read. A patch that is too late is refused
 * as a whole; a server-side apply would own the entries' names besides and keep manifests from renaming them.
 */
function publication(webhooks: readonly Webhook[], bundle: string, resourceVersion: string): JsonPatchOperation[] {
  const value = Buffer.from(bundle).toString('base64')
  return [
    { op: 'test', path: '/metadata/resourceVersion', value: resourceVersion },
    ...webhooks.flatMap(({ name }, index): JsonPatchOperation[] => [
      { op: 'test', path: `/webhooks/${index}/name`, value: name },
      { op: 'add', path: `/webhooks/${index}/clientConfig/caBundle`, value },
    ]),
  ]
}

function webhooksOf(configuration: KubernetesObject): Webhook[] {
  const entries: unknown = configuration['webhooks']
  const webhooks = (Array.isArray(entries) ? entries : []) as {
    name?: unknown
    clientConfig?: { caBundle?: unknown }
  }[]
  if (webhooks.length === 0) {
    throw new Error(`the webhook configuration ${configuration.metadata.name} has no webhooks; apply the manifests`)
  }
  return webhooks.map(({ name, clientConfig }) => ({
    name: textOf(name),
    bundle: textOf(clientConfig?.caBundle),
  }))
}

function versionOf({ metadata }: KubernetesObject): string {
  return metadata.resourceVersion ?? ''
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function fromBase64(text: string): string {
  return Buffer.from(text, 'base64').toString('utf8')
}

function unlessAbsent<T>(read: Promise<T>): Promise<T | undefined> {
  return read.catch((error: unknown) => {
    if (isKind(error, 'not_found')) return undefined
    throw error
  })
}

async function outcomeOf(write: Promise<unknown>): Promise<WriteOutcome> {
  try {
    await write
    return 'written'
  } catch (error) {
    if (isKind(error, 'conflict') || isKind(error, 'not_found')) return 'conflict'
    throw error
  }
}

function isKind(error: unknown, kind: KubernetesErrorKind): boolean {
  return error instanceof KubernetesError && error.kind === kind
}
