import { WEBHOOK_CONFIGURATION } from '../../certs/names.ts'
import { createKubernetesClient, listAll } from '../../lib/kubernetes/client.ts'
import type { Connection } from '../../lib/kubernetes/connection.ts'
import { KubernetesError } from '../../lib/kubernetes/errors.ts'
import type { AccessQuestion, KubernetesObject } from '../../lib/kubernetes/types.ts'
import type { Clock } from '../../lib/service/clock.ts'
import { fanOut } from '../../lib/gitlab/fan-out.ts'
import { isObject, listOf, textOf } from './json.ts'
import { once } from './gitlab-facts.ts'

const CONCURRENCY = 4

/** Each is read once, when the first check wants it. */
export interface KubernetesFacts {
  version(): Promise<string>
  /** Null: there is none. */
  webhookConfiguration(): Promise<KubernetesObject | null>
  namespace(): Promise<KubernetesObject | null>
  pods(): Promise<KubernetesObject[]>
  quotas(): Promise<KubernetesObject[]>
  limitRanges(): Promise<KubernetesObject[]>
  service(namespace: string, name: string): Promise<KubernetesObject | null>
  /** The runner configurations in ConfigMaps and Secrets that the pods mount: where, and the TOML. */
  runnerConfigs(): Promise<{ where: string; toml: string }[]>
  allowed(question: AccessQuestion): Promise<boolean>
}

export function createKubernetesFacts(connection: Connection, clock: Clock, namespace: string): KubernetesFacts {
  const client = createKubernetesClient({ connection, clock })
  const at = (plural: string, name?: string, inside = namespace) =>
    `/api/v1/namespaces/${encodeURIComponent(inside)}/${plural}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`
  const get = async (path: string, subject: string): Promise<KubernetesObject | null> =>
    orNull(async () => (await connection.call({ method: 'GET', path, subject })) as KubernetesObject)
  const list = async (plural: string) =>
    (await listAll(connection, { method: 'GET', path: at(plural), subject: `${plural} ${namespace}` }, {})).items
  const pods = once(() => list('pods'))

  return {
    version: once(async () => {
      const answer = await connection.call({ method: 'GET', path: '/version', subject: 'version' })
      return textOf(answer, 'gitVersion') ?? 'unknown version'
    }),
    webhookConfiguration: once(() => orNull(() => client.webhookConfiguration(WEBHOOK_CONFIGURATION))),
    namespace: once(() => get(`/api/v1/namespaces/${encodeURIComponent(namespace)}`, `namespaces ${namespace}`)),
    pods,
    quotas: once(() => list('resourcequotas')),
    limitRanges: once(() => list('limitranges')),
    service: (inside, name) => get(at('services', name, inside), `services ${inside}/${name}`),
    runnerConfigs: once(async () => {
      const mounted = mountedBy(await pods())
      const files = await fanOut([...mounted.values()], CONCURRENCY, async ({ plural, name }) => {
        const object = await get(at(plural, name), `${plural} ${namespace}/${name}`)
        const data = isObject(object?.['data']) ? object['data'] : {}
        return Object.entries(data).flatMap(([key, value]) => {
          if (!key.endsWith('.toml') || typeof value !== 'string') return []
          const toml = plural === 'secrets' ? Buffer.from(value, 'base64').toString('utf8') : value
          return [{ where: `${plural === 'secrets' ? 'Secret' : 'ConfigMap'} ${name}, ${key}`, toml }]
        })
      })
      return files.flat()
    }),
    allowed: question => client.allowed(question),
  }
}

async function orNull<T>(read: () => Promise<T>): Promise<T | null> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof KubernetesError && error.kind === 'not_found') return null
    throw error
  }
}

/** ConfigMaps and Secrets that pods mount, projected ones included; what they do not mount is none of our business. */
function mountedBy(pods: readonly KubernetesObject[]) {
  const found = new Map<string, { plural: 'configmaps' | 'secrets'; name: string }>()
  const note = (plural: 'configmaps' | 'secrets', name: string | undefined) => {
    if (name !== undefined) found.set(`${plural}/${name}`, { plural, name })
  }
  for (const { spec } of pods) {
    for (const volume of listOf(spec, 'volumes')) {
      const sources = [volume, ...listOf(isObject(volume) ? volume['projected'] : undefined, 'sources')]
      for (const source of sources) {
        if (!isObject(source)) continue
        note('configmaps', textOf(source['configMap'], 'name'))
        note('secrets', textOf(source['secret'], 'secretName') ?? textOf(source['secret'], 'name'))
      }
    }
  }
  // Every pod mounts the cluster's certificate; it holds no runner's configuration.
  found.delete('configmaps/kube-root-ca.crt')
  return found
}
