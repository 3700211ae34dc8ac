import { readFileSync } from 'node:fs'
import type { Test } from 'tap'
import { serviceNames } from '../../certs/build.ts'
import { parseListenAddress } from '../../lib/service/listen-address.ts'
import { createKubernetes } from '../../simulator/kubernetes/core.ts'
import { asRecord, labelsOf, metadataOf, nameOf, records } from '../../simulator/kubernetes/values.ts'
import { matchesLabels, requirementsOf } from '../../simulator/kubernetes/selectors.ts'
import { MATCH_CONDITIONS, namespaceRequirements, OBJECT_REQUIREMENTS } from '../../webhook/conditions.ts'
import { readWebhookConfig, type WebhookConfig } from '../../webhook/config.ts'
import { MUTATE_PATH } from '../../webhook/server.ts'
import { evaluateCondition } from '../support/cel.ts'
import { readObjects } from '../support/kubectl.ts'
import type { Body } from '../support/recordings.ts'
import {
  annotationsOf,
  at,
  configurationText,
  podTemplate,
  portNamed,
  restrictedViolations,
  type Rendering,
} from './rendering.ts'

export const NAMESPACE = 'gitlab-runner-hadr'
export const WEBHOOK = 'gitlab-runner-hadr-webhook'
const CLUSTER_KINDS = [
  'Namespace',
  'ClusterRole',
  'ClusterRoleBinding',
  'MutatingWebhookConfiguration',
  'ValidatingAdmissionPolicy',
  'ValidatingAdmissionPolicyBinding',
]

/** All that must hold in every rendering, whatever it is made of. */
export async function checkAll(t: Test, rendering: Rendering): Promise<void> {
  checkNames(t, rendering)
  checkReferences(t, rendering)
  checkRights(t, rendering)
  checkPods(t, rendering)
  checkWebhook(t, rendering)
  checkCertificates(t, rendering)
  await checkAccepted(t, rendering)
}

export function configurationOf(rendering: Rendering): WebhookConfig {
  const result = readWebhookConfig(configurationText(rendering))
  if (!result.ok) throw new Error(JSON.stringify(result.mistakes))
  return result.config
}

function checkNames(t: Test, { objects }: Rendering): void {
  for (const object of objects) {
    const { namespace, name } = metadataOf(object)
    const isCluster = CLUSTER_KINDS.includes(String(object['kind']))
    t.equal(namespace, isCluster ? undefined : NAMESPACE, `${String(object['kind'])} ${String(name)}`)
    t.match(name, /^gitlab-runner-hadr/)
  }
  t.notMatch(JSON.stringify(objects), /caBundle|"\*"|"latest"\]|gitlab-token|BEGIN/)
}

function checkReferences(t: Test, rendering: Rendering): void {
  const { the, all } = rendering
  const { labels, container } = podTemplate(rendering)
  const selectors = {
    deployment: at(the('Deployment'), 'spec.selector'),
    service: { matchLabels: at(the('Service', WEBHOOK), 'spec.selector') },
    budget: at(the('PodDisruptionBudget', WEBHOOK), 'spec.selector'),
    policies: all('NetworkPolicy').map(policy => at(policy, 'spec.podSelector')),
    spread: records(at(the('Deployment'), 'spec.template.spec.topologySpreadConstraints')).map(
      each => each['labelSelector'],
    ),
  }
  for (const [name, selector] of Object.entries(selectors)) {
    for (const each of [selector].flat()) {
      t.ok(requirementsOf(each).length === 2 && matchesLabels(labels, requirementsOf(each)), `${name} selects the pods`)
    }
  }
  const [service = {}] = records(at(the('Service'), 'spec.ports'))
  t.match(service, { port: 443, targetPort: 'webhook' })
  const { listen, opsListen, namespace } = configurationOf(rendering)
  t.equal(portNamed(container, 'webhook'), parseListenAddress(listen)?.port)
  t.equal(portNamed(container, 'ops'), parseListenAddress(opsListen)?.port)
  t.equal(namespace, NAMESPACE)
  for (const probe of ['readinessProbe', 'livenessProbe']) t.equal(at(container, `${probe}.httpGet.port`), 'ops')
  for (const policy of all('NetworkPolicy')) {
    const open = records(at(policy, 'spec.ingress')).flatMap(rule => records(rule['ports']).map(({ port }) => port))
    t.same(open, ['webhook', 'ops'])
  }
  t.ok(all('ServiceAccount').some(account => nameOf(account) === podTemplate(rendering).spec['serviceAccountName']))
}

function checkRights(t: Test, { all, objects }: Rendering): void {
  for (const binding of [...all('RoleBinding'), ...all('ClusterRoleBinding')]) {
    const role = asRecord(binding['roleRef']) ?? {}
    t.ok(all(String(role['kind'])).some(each => nameOf(each) === role['name']))
    t.same(binding['subjects'], [{ kind: 'ServiceAccount', name: WEBHOOK, namespace: NAMESPACE }])
  }
  const rules = [...all('Role'), ...all('ClusterRole')].flatMap(role => records(role['rules']))
  const named = rules.flatMap(rule => rule['resourceNames'] as string[])
  t.ok(rules.every(rule => Array.isArray(rule['resourceNames']) && rule['resourceNames'].length === 1))
  t.ok(named.every(name => objects.some(object => nameOf(object) === name)))
  const verbs = rules.map(({ resources, verbs }) => [resources, verbs].flat().join(' '))
  t.same(verbs, rules.length === 0 ? [] : ['secrets get update', 'mutatingwebhookconfigurations get patch'])
}

function checkPods(t: Test, rendering: Rendering): void {
  const { spec, container } = podTemplate(rendering)
  const isOnHost = spec['hostNetwork'] === true
  t.same(restrictedViolations(spec), isOnHost ? ['hostNetwork'] : [])
  t.equal(
    labelsOf(rendering.the('Namespace'))['pod-security.kubernetes.io/enforce'],
    isOnHost ? 'privileged' : 'restricted',
  )
  t.match(container, {
    args: ['webhook', '--config', '/etc/hadr/webhook.yaml'],
    readinessProbe: { httpGet: { path: '/readyz' } },
    livenessProbe: { httpGet: { path: '/livez' } },
    resources: { requests: { cpu: String, memory: String }, limits: { memory: String } },
    securityContext: { readOnlyRootFilesystem: true },
  })
  t.ok(Number(spec['terminationGracePeriodSeconds']) >= 20, 'long enough for the drain')
  const deployment = asRecord(rendering.the('Deployment')['spec']) ?? {}
  const rollingUpdate = isOnHost ? { maxUnavailable: 1, maxSurge: 0 } : { maxUnavailable: 0, maxSurge: 1 }
  t.match(deployment, { replicas: 2, strategy: { type: 'RollingUpdate', rollingUpdate } })
  t.same(at(rendering.the('PodDisruptionBudget'), 'spec.maxUnavailable'), 1)
}

function checkWebhook(t: Test, { the }: Rendering): void {
  const [recorded = {}] = readObjects(
    readFileSync('test/recordings/kubernetes/policies/mutatingwebhookconfiguration.yaml', 'utf8'),
  )
  const [wanted = {}] = records(recorded['webhooks'])
  const configuration = the('MutatingWebhookConfiguration', NAMESPACE)
  const [webhook = {}, ...others] = records(configuration['webhooks'])
  t.same(others, [])
  // The recorded one has every field that an API server fills in; a longer deadline is the one difference.
  t.same(webhook, { ...wanted, timeoutSeconds: 3 })
  t.same(webhook['matchConditions'], MATCH_CONDITIONS)
  t.same(at(webhook, 'objectSelector.matchExpressions'), OBJECT_REQUIREMENTS)
  t.same(at(webhook, 'namespaceSelector.matchExpressions'), namespaceRequirements(NAMESPACE))
  t.match(webhook, { failurePolicy: 'Ignore', sideEffects: 'None', reinvocationPolicy: 'IfNeeded' })
  t.match(at(webhook, 'clientConfig.service'), { name: WEBHOOK, namespace: NAMESPACE, path: MUTATE_PATH, port: 443 })
}

function checkCertificates(t: Test, rendering: Rendering): void {
  const { the, all, objects } = rendering
  const { certificates } = configurationOf(rendering)
  if (certificates.mode === 'self') {
    t.same(
      all('Secret').map(secret => [nameOf(secret), secret['data'], secret['type']]),
      [['gitlab-runner-hadr-ca', undefined, 'Opaque']],
    )
    t.equal(podTemplate(rendering).spec['automountServiceAccountToken'], true)
    return
  }
  const certificate = the('Certificate', WEBHOOK)
  const { spec, container } = podTemplate(rendering)
  const mount = records(container['volumeMounts']).find(({ name }) => name === 'certificate') ?? {}
  const volume = records(spec['volumes']).find(({ name }) => name === 'certificate')
  t.equal(at(volume, 'secret.secretName'), at(certificate, 'spec.secretName'))
  t.equal(mount['subPath'], undefined)
  t.match(certificates, { cert: `${String(mount['mountPath'])}/tls.crt`, key: `${String(mount['mountPath'])}/tls.key` })
  t.same(at(certificate, 'spec.dnsNames'), serviceNames(WEBHOOK, NAMESPACE))
  const annotations = annotationsOf(the('MutatingWebhookConfiguration'))
  t.same(annotations, { 'cert-manager.io/inject-ca-from': `${NAMESPACE}/${WEBHOOK}` })
  for (const each of all('Certificate')) {
    t.ok(all('Issuer').some(issuer => nameOf(issuer) === at(each, 'spec.issuerRef.name')))
  }
  t.equal(spec['automountServiceAccountToken'], false)
  t.notMatch(objects.map(object => String(object['kind'])).join(), /Role|Secret/)
  t.same(
    all('NetworkPolicy').map(policy => at(policy, 'spec.egress')),
    all('NetworkPolicy').map(() => []),
  )
}

/** Creates what the simulated API server knows; objects come back with no field that it had to fill in, where that counts. */
async function checkAccepted(t: Test, { objects }: Rendering): Promise<void> {
  const api = createKubernetes({ evaluateCondition })
  t.teardown(() => api.close())
  const paths: Record<string, string> = {
    Namespace: '/api/v1/namespaces',
    Secret: `/api/v1/namespaces/${NAMESPACE}/secrets`,
    Deployment: `/apis/apps/v1/namespaces/${NAMESPACE}/deployments`,
    MutatingWebhookConfiguration: '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations',
  }
  let created = 0
  for (const object of objects) {
    const path = paths[String(object['kind'])]
    if (path === undefined) continue
    const { status, body } = await api.handle({
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(object),
    })
    t.equal(status, 201, body)
    const stored = JSON.parse(body) as Body
    if (object['kind'] === 'MutatingWebhookConfiguration') t.same(stored['webhooks'], object['webhooks'])
    created += 1
  }
  t.ok(created >= 3, `${created} objects created`)
}
