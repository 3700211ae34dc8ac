import t, { type Test } from 'tap'
import { decodeAuthorities } from '../../certs/authorities.ts'
import { createKubernetesPublisher, createKubernetesSecretStore } from '../../certs/kubernetes.ts'
import { CA_SECRET, WEBHOOK_CONFIGURATION } from '../../certs/names.ts'
import { systemClock } from '../../lib/service/clock.ts'
import type { SimulatedKubernetes } from '../../simulator/kubernetes/server.ts'
import { open, startApi } from '../support/kubernetes.ts'
import { servername, startReplica } from '../support/replica.ts'
import { shakeHands } from '../support/tls.ts'

const NAMESPACE = 'gitlab-runner-hadr'
const { signal } = new AbortController()

/** What the manifests bring: an empty Secret, a configuration of two webhooks, rights on these two names alone. */
async function prepare(t: Test): Promise<SimulatedKubernetes> {
  const api = await startApi(t, { rbac: true })
  api.state.addNamespace(NAMESPACE)
  api.state.put('secrets', {
    metadata: { name: CA_SECRET, namespace: NAMESPACE, labels: { 'app.kubernetes.io/name': NAMESPACE } },
    type: 'Opaque',
  })
  api.state.put('webhookConfigurations', {
    metadata: { name: WEBHOOK_CONFIGURATION },
    webhooks: ['first', 'second'].map(name => webhook(`${name}.gitlab-runner-hadr.io`)),
  })
  const rule = (group: string, resource: string, verbs: string[], name: string) => ({
    apiGroups: [group],
    resources: [resource],
    verbs,
    resourceNames: [name],
  })
  const configurations = 'mutatingwebhookconfigurations'
  api.state.addToken('webhook', { username: 'webhook' }, [
    { role: 'secret', namespace: NAMESPACE, rules: [rule('', 'secrets', ['get', 'update'], CA_SECRET)] },
    {
      role: 'configuration',
      rules: [rule('admissionregistration.k8s.io', configurations, ['get', 'patch'], WEBHOOK_CONFIGURATION)],
    },
  ])
  return api
}

function webhook(name: string) {
  const service = { name: 'gitlab-runner-hadr-webhook', namespace: NAMESPACE, path: '/mutate' }
  return { name, clientConfig: { service }, sideEffects: 'None', admissionReviewVersions: ['v1'] }
}

async function stores(t: Test, api: SimulatedKubernetes, name: string = CA_SECRET) {
  const { client } = await open(t, api, { token: 'webhook' })
  return {
    secrets: createKubernetesSecretStore({ client, namespace: NAMESPACE, name }),
    bundles: createKubernetesPublisher({ client, name: WEBHOOK_CONFIGURATION }),
  }
}

t.test('a Secret is read, and replaced as long as nobody else wrote; its labels stay', async t => {
  const api = await prepare(t)
  const { secrets } = await stores(t, api)
  const first = await secrets.get(signal)
  t.match(first, { data: {}, resourceVersion: /^\d+$/ })
  const version = first?.resourceVersion ?? ''
  t.equal(await secrets.replace({ 'ca.crt': 'é' }, version, signal), 'written')
  t.equal(await secrets.replace({ 'ca.crt': 'late' }, version, signal), 'conflict')
  const second = await secrets.get(signal)
  t.strictSame(second?.data, { 'ca.crt': 'é' })
  t.equal(await secrets.replace({ other: 'x' }, second?.resourceVersion ?? '', signal), 'written')
  t.strictSame((await secrets.get(signal))?.data, { other: 'x' }, 'what is not named is gone')
  t.match(api.state.get('secrets', NAMESPACE, CA_SECRET), {
    type: 'Opaque',
    metadata: { labels: { 'app.kubernetes.io/name': NAMESPACE } },
  })
})

t.test('two that replace the same version at once: one is written, the other is a conflict', async t => {
  const api = await prepare(t)
  const both = await Promise.all([stores(t, api), stores(t, api)])
  const version = (await both[0].secrets.get(signal))?.resourceVersion ?? ''
  const outcomes = await Promise.all(
    both.map(({ secrets }, index) => secrets.replace({ who: String(index) }, version, signal)),
  )
  t.strictSame(outcomes.toSorted(), ['conflict', 'written'])
})

t.test('a Secret that is gone is undefined, and a conflict for who replaces it', async t => {
  const api = await prepare(t)
  const { secrets, bundles } = await stores(t, api)
  const version = (await secrets.get(signal))?.resourceVersion ?? ''
  api.state.remove('secrets', NAMESPACE, CA_SECRET)
  api.state.remove('webhookConfigurations', '', WEBHOOK_CONFIGURATION)
  t.equal(await secrets.get(signal), undefined)
  t.equal(await secrets.replace({}, version, signal), 'conflict')
  t.equal(await bundles.read(signal), undefined)
  t.equal(await bundles.publish('x', version, signal), 'conflict')
})

t.test('the caBundle goes to every webhook by its name, and nowhere after an edit in between', async t => {
  const api = await prepare(t)
  const { bundles } = await stores(t, api)
  const first = await bundles.read(signal)
  t.strictSame(first?.bundles, ['', ''])
  const version = first?.resourceVersion ?? ''
  t.equal(await bundles.publish('new', version, signal), 'written')
  t.equal(await bundles.publish('late', version, signal), 'conflict')
  const second = await bundles.read(signal)
  t.strictSame(second?.bundles, ['new', 'new'])
  t.match(api.state.get('webhookConfigurations', '', WEBHOOK_CONFIGURATION), {
    webhooks: [{ clientConfig: { caBundle: 'bmV3', service: { path: '/mutate' } } }, {}],
  })
})

t.test('an edit between our reading and the patch makes the patch fail as a whole: a conflict', async t => {
  const api = await prepare(t)
  const { client } = await open(t, api, { token: 'webhook' })
  const reordered = ['zero', 'first', 'second'].map(name => webhook(`${name}.gitlab-runner-hadr.io`))
  const bundles = createKubernetesPublisher({
    client: {
      ...client,
      patchWebhookConfiguration: (...call) => {
        api.state.put('webhookConfigurations', { metadata: { name: WEBHOOK_CONFIGURATION }, webhooks: reordered })
        return client.patchWebhookConfiguration(...call)
      },
    },
    name: WEBHOOK_CONFIGURATION,
  })
  const version = (await bundles.read(signal))?.resourceVersion ?? ''
  t.equal(await bundles.publish('late', version, signal), 'conflict')
  t.strictSame((await bundles.read(signal))?.bundles, ['', '', ''])
})

t.test('a missing right and an empty configuration are told with the mend', async t => {
  const api = await prepare(t)
  const { secrets } = await stores(t, api, 'another')
  await t.rejects(secrets.get(signal), { kind: 'forbidden', message: /give the service account the missing right/ })
  api.state.put('webhookConfigurations', { metadata: { name: WEBHOOK_CONFIGURATION }, webhooks: [] })
  await t.rejects((await stores(t, api)).bundles.read(signal), /has no webhooks; apply the manifests/)
})

t.test('three replicas that start at once share one authority, whatever the API server loses', async t => {
  const api = await prepare(t)
  const faults = [
    { fault: { kind: 'lostReply' }, verb: 'update', resource: 'secrets', count: 1 },
    { fault: { kind: 'status', status: 503 }, verb: 'get', resource: 'secrets', count: 2 },
    { fault: { kind: 'lostReply' }, verb: 'patch', resource: 'mutatingwebhookconfigurations', count: 1 },
  ] as const
  for (const fault of faults) api.faults.add(fault)
  const replicas = await Promise.all(
    [1, 2, 3].map(async seed => startReplica(t, { ...(await stores(t, api)), clock: systemClock, seed })),
  )
  while (replicas.some(({ source }) => source.ready() !== true)) await systemClock.sleep(10)
  const secret = await (await stores(t, api)).secrets.get(signal)
  const { authorities, flaws } = decodeAuthorities(secret?.data ?? {})
  t.strictSame(flaws, [])
  const ca = authorities.signing?.pem ?? ''
  const { bundles } = (await (await stores(t, api)).bundles.read(signal)) ?? {}
  t.strictSame(bundles, [ca, ca])
  for (const { port } of replicas) t.equal((await shakeHands(port, { ca, servername })).problem, undefined)
})
