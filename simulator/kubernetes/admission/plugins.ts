import { refusals } from '../answers.ts'
import { randomSuffix, type Context } from '../context.ts'
import { RESOURCES } from '../resources.ts'
import { asList, asRecord, asString, ensureRecord, records, setDefault, type KubeObject } from '../values.ts'

const TOKEN_PATH = '/var/run/secrets/kubernetes.io/serviceaccount'
const TOKEN_VOLUME = 'kube-api-access-'

/** The built-in plugins that change a pod before and between webhooks. They run again in the second round. */
export function runBuiltInPlugins(
  context: Context,
  pod: KubeObject,
  namespace: string,
  name: string | undefined,
): void {
  const spec = ensureRecord(pod, 'spec')
  const annotations = asRecord(asRecord(pod['metadata'])?.['annotations']) ?? {}
  if (!Object.hasOwn(annotations, 'kubernetes.io/config.mirror')) addServiceAccount(context, spec, namespace, name)
  addTolerations(spec)
  setDefault(spec, 'priority', 0)
  setDefault(spec, 'preemptionPolicy', 'PreemptLowerPriority')
}

function addServiceAccount(context: Context, spec: KubeObject, namespace: string, name: string | undefined): void {
  setDefault(spec, 'serviceAccountName', 'default')
  const account = asString(spec['serviceAccountName']) ?? ''
  spec['serviceAccount'] = account
  if (account !== 'default' && !context.store.has(RESOURCES.serviceAccounts, namespace, account)) {
    const why = `error looking up service account ${namespace}/${account}: serviceaccount "${account}" not found`
    throw refusals.forbiddenByAdmission(RESOURCES.pods, name, why)
  }
  if (spec['automountServiceAccountToken'] !== false) mountToken(context, spec)
}

function mountToken(context: Context, spec: KubeObject): void {
  const present = records(spec['volumes']).find(volume => asString(volume['name'])?.startsWith(TOKEN_VOLUME))
  const volume = asString(present?.['name']) ?? `${TOKEN_VOLUME}${randomSuffix(context.random)}`
  let mounted = false
  for (const container of [...records(spec['initContainers']), ...records(spec['containers'])]) {
    if (records(container['volumeMounts']).some(mount => mount['mountPath'] === TOKEN_PATH)) continue
    const mount = { name: volume, readOnly: true, mountPath: TOKEN_PATH }
    container['volumeMounts'] = [...asList(container['volumeMounts']), mount]
    mounted = true
  }
  if (mounted && !present) spec['volumes'] = [...asList(spec['volumes']), tokenVolume(volume)]
}

function tokenVolume(name: string): KubeObject {
  const fieldRef = { apiVersion: 'v1', fieldPath: 'metadata.namespace' }
  return {
    name,
    projected: {
      sources: [
        { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        { downwardAPI: { items: [{ path: 'namespace', fieldRef }] } },
      ],
      defaultMode: 0o644,
    },
  }
}

function addTolerations(spec: KubeObject): void {
  const present = records(spec['tolerations'])
  const missing = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'].filter(
    key => !present.some(toleration => toleration['key'] === key || toleration['key'] === undefined),
  )
  const added = missing.map(key => ({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 }))
  if (added.length > 0) spec['tolerations'] = [...present, ...added]
}
