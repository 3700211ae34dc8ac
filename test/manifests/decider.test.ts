import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { createKubernetesFacts } from '../../cli/doctor/kubernetes-facts.ts'
import { kubernetesChecks } from '../../cli/doctor/kubernetes-checks.ts'
import type { DoctorContext } from '../../cli/doctor/context.ts'
import { poolsOf, readDeciderConfig, type DeciderConfig } from '../../decider/config.ts'
import { systemClock } from '../../lib/service/clock.ts'
import { parseListenAddress } from '../../lib/service/listen-address.ts'
import type { KubernetesState } from '../../simulator/kubernetes/state.ts'
import { matchesLabels, requirementsOf } from '../../simulator/kubernetes/selectors.ts'
import { asRecord, metadataOf, nameOf, records } from '../../simulator/kubernetes/values.ts'
import { lacksKubectl, readObjects } from '../support/kubectl.ts'
import { open, startApi } from '../support/kubernetes.ts'
import { grantsOf } from '../support/live/rights.ts'
import type { Body } from '../support/recordings.ts'
import { checkAll, NAMESPACE } from './checks.ts'
import {
  at,
  configurationText,
  partOf,
  podTemplate,
  portNamed,
  render,
  restrictedViolations,
  type Rendering,
} from './rendering.ts'

const DECIDER = 'gitlab-runner-hadr-decider'
const RUNNERS = 'gitlab-runners'
const OVERLAYS = ['overlays/cluster-a', 'overlays/cluster-b']
const skip = lacksKubectl()

const [base, ...overlays] = skip
  ? []
  : await Promise.all(['decider', ...OVERLAYS].map(folder => render(`manifests/${folder}`)))

function configOf(rendering: Rendering): DeciderConfig {
  const result = readDeciderConfig(configurationText(rendering))
  if (!result.ok) throw new Error(JSON.stringify(result.mistakes))
  return result.config
}

for (const [index, folder] of ['decider', ...OVERLAYS].entries()) {
  t.test(`the decider of manifests/${folder} agrees with itself and with the program`, { skip }, t => {
    const whole = index === 0 ? base : overlays[index - 1]
    if (!whole) throw new Error('not rendered')
    const rendering = partOf(whole, 'decider')
    checkNames(t, rendering)
    checkConfiguration(t, rendering)
    checkRights(t, rendering)
    const { spec, container, labels } = podTemplate(rendering)
    t.same(restrictedViolations(spec), [])
    t.match(container, {
      args: ['decider', '--config', '/etc/hadr/decider.yaml'],
      readinessProbe: { httpGet: { path: '/readyz', port: 'ops' } },
      livenessProbe: { httpGet: { path: '/livez', port: 'ops' } },
      resources: { requests: { cpu: String, memory: String }, limits: { memory: String } },
      securityContext: { readOnlyRootFilesystem: true },
    })
    t.ok(Number(spec['terminationGracePeriodSeconds']) > 20, 'long enough for a write under way and the farewell')
    t.match(at(rendering.the('Deployment'), 'spec'), {
      replicas: 2,
      strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
    })
    const selectors = [
      at(rendering.the('Deployment'), 'spec.selector'),
      { matchLabels: at(rendering.the('Service'), 'spec.selector') },
      at(rendering.the('PodDisruptionBudget'), 'spec.selector'),
      at(rendering.the('NetworkPolicy'), 'spec.podSelector'),
      ...records(spec['topologySpreadConstraints']).map(each => each['labelSelector']),
    ]
    for (const selector of selectors) {
      t.ok(requirementsOf(selector).length === 2 && matchesLabels(labels, requirementsOf(selector)))
    }
    t.match(records(at(rendering.the('Service'), 'spec.ports')), [{ port: 80, targetPort: 'ops' }])
    t.end()
  })
}

function checkNames(t: Test, { objects }: Rendering): void {
  for (const object of objects) {
    const { namespace, name } = metadataOf(object)
    const isWorkloads = name === `${DECIDER}-workloads`
    if (object['kind'] !== 'Namespace') t.equal(namespace, isWorkloads ? RUNNERS : NAMESPACE, String(object['kind']))
    t.match(name, /^gitlab-runner-hadr/)
  }
  t.equal(objects.filter(({ kind }) => kind === 'Secret').length, 0, 'no Secret')
}

/** What the file names is where the pod has it. */
function checkConfiguration(t: Test, rendering: Rendering): void {
  const { spec, container } = podTemplate(rendering)
  const { gitlab, lease, listen } = configOf(rendering)
  const [secret = {}] = exampleSecrets().filter(each => nameOf(each) === DECIDER)
  const mount = records(container['volumeMounts']).find(({ name }) => name === 'tokens') ?? {}
  const volume = records(spec['volumes']).find(({ name }) => name === 'tokens')
  t.equal(at(volume, 'secret.secretName'), nameOf(secret))
  t.equal(mount['subPath'], undefined, 'a folder: a rotated token is seen')
  const files = Object.keys(asRecord(secret['stringData']) ?? {}).map(key => `${String(mount['mountPath'])}/${key}`)
  t.same([gitlab.tokenFile, gitlab.projectTokenFile], files)
  t.equal(portNamed(container, 'ops'), parseListenAddress(listen)?.port)
  const named = records(rendering.the('Role', DECIDER)['rules']).flatMap(rule => rule['resourceNames'] ?? [])
  t.same(named, [lease.name], 'the Lease of the configuration is the one of the Role')
  t.equal(lease.namespace, undefined, 'it is in the namespace of the service account')
}

function checkRights(t: Test, { all, the }: Rendering): void {
  t.equal(podTemplate({ all, the, objects: [] }).spec['serviceAccountName'], nameOf(the('ServiceAccount')))
  t.equal(the('ServiceAccount')['automountServiceAccountToken'], false)
  for (const binding of all('RoleBinding')) {
    t.same(binding['subjects'], [{ kind: 'ServiceAccount', name: DECIDER, namespace: NAMESPACE }])
    t.ok(all('Role').some(role => nameOf(role) === at(binding, 'roleRef.name')))
  }
  t.same(all('ClusterRole'), [])
  const allowed = all('Role').flatMap(role =>
    records(role['rules']).map(({ resources, verbs }) => [resources, verbs].flat().join(' ')),
  )
  const least = ['leases get update', 'leases create', 'events create']
  t.same(
    allowed.filter(each => !each.startsWith('deployments')),
    least,
  )
  t.ok(allowed.every(each => least.includes(each) || each === 'deployments statefulsets get list'))
}

t.test('an overlay is a whole cluster: the webhook as ever, and its own decider', { skip }, async t => {
  for (const [index, rendering] of overlays.entries()) {
    await checkAll(t, partOf(rendering, 'webhook'))
    t.equal(configOf(partOf(rendering, 'decider')).cluster, ['a', 'b'][index])
    for (const component of ['webhook', 'decider']) {
      t.equal(
        podTemplate(partOf(rendering, component)).container['image'],
        'registry.example.com/gitlab-runner-hadr:1.0.0',
      )
    }
    t.equal(
      partOf(rendering, 'webhook').objects.length + partOf(rendering, 'decider').objects.length,
      rendering.objects.length + 1,
    )
  }
})

t.test('the deciders of the overlays work with the same pools, so that they do not stop each other', { skip }, t => {
  const configs = overlays.map(rendering => configOf(partOf(rendering, 'decider')))
  const digests = configs.map(config => poolsOf(config).map(({ digest }) => digest))
  t.same(digests[0], digests[1])
  t.same(new Set(configs.map(({ gitlab }) => gitlab.project)).size, 1)
  t.end()
})

t.test(
  'the doctor finds that the service account has the rights it needs, and each one that is missing',
  { skip },
  async t => {
    const [overlay] = overlays
    if (!overlay) throw new Error('not rendered')
    const config = configOf(partOf(overlay, 'decider'))
    const api = await startApi(t, { rbac: true })
    store(api.state, overlay)
    const verdictOf = async (token: string) => {
      const { connection } = await open(t, api, { token, callDeadlineMs: 20_000 })
      const facts = createKubernetesFacts(connection, systemClock, RUNNERS)
      const check = kubernetesChecks.find(({ id }) => id === 'rights')
      const context = { kubernetes: facts, config, webhook: undefined } as unknown as DoctorContext
      return check?.run(context, new AbortController().signal)
    }
    const grants = grantsOf(api.state, NAMESPACE, DECIDER)
    const user = { username: `system:serviceaccount:${NAMESPACE}:${DECIDER}` }
    api.state.addToken('whole', user, grants)
    t.match(await verdictOf('whole'), { status: 'ok' })
    for (const [resource, missing] of Object.entries({
      leases: /update leases\/gitlab-runner-hadr-decider/,
      deployments: /list deployments/,
    })) {
      const less = grants.map(grant => ({
        ...grant,
        rules: grant.rules.filter(({ resources }) => !resources.includes(resource)),
      }))
      api.state.addToken(`without-${resource}`, user, less)
      t.match(await verdictOf(`without-${resource}`), { status: 'failed', detail: missing })
    }
  },
)

/** Puts the roles of a rendering where the server keeps them. */
function store(state: KubernetesState, { all }: Rendering): void {
  for (const role of all('Role')) state.put('roles', role)
  for (const binding of all('RoleBinding')) state.put('roleBindings', binding)
}

t.test('no secret has a value in the manifests', { skip }, t => {
  for (const rendering of [base, ...overlays]) {
    for (const secret of rendering?.all('Secret') ?? []) {
      t.same([nameOf(secret), secret['data'], secret['stringData']], ['gitlab-runner-hadr-ca', undefined, undefined])
    }
    t.notMatch(JSON.stringify(rendering?.objects), /gl(pat|rt|dt|cbt)-|BEGIN [A-Z ]*PRIVATE KEY|password/i)
  }
  for (const secret of exampleSecrets()) {
    for (const value of Object.values(asRecord(secret['stringData']) ?? {})) t.equal(value, 'replace-me')
  }
  t.end()
})

t.test('the examples of runners name what the overlays expect, and hold no token', t => {
  const values = parse(readFileSync('manifests/examples/helm-values.yaml', 'utf8')) as Body
  const [operated = {}] = readObjects(readFileSync('manifests/examples/operator-runner.yaml', 'utf8'))
  const decider = parse(readFileSync('manifests/overlays/cluster-a/decider.yaml', 'utf8')) as Body
  t.equal(values['gitlabUrl'], at(decider, 'gitlab.url'))
  t.equal(at(operated, 'spec.gitlabUrl'), at(decider, 'gitlab.url'))
  t.equal(metadataOf(operated)['namespace'], at(decider, 'runners.namespace'))
  t.equal(values['unregisterRunners'], false, 'pods that leave do not take the runner with them')
  t.equal(at(values, 'runners.secret'), at(operated, 'spec.token'))
  // The chart names its Deployment and the label `app` after the release: `helm upgrade --install ci`.
  t.match(
    readFileSync('manifests/examples/helm-values.yaml', 'utf8'),
    /helm upgrade --install ci gitlab\/gitlab-runner/,
  )
  t.equal(at(decider, 'runners.selector'), 'app=ci-gitlab-runner')
  t.same([values['runnerToken'], values['runnerRegistrationToken']], [undefined, undefined])
  const [, sidecars = {}] = exampleSecrets()
  const webhook = parse(readFileSync('manifests/overlays/cluster-a/webhook.yaml', 'utf8')) as Body
  t.equal(nameOf(sidecars), at(webhook, 'sidecar.tokenSecret'))
  t.same(Object.keys(asRecord(sidecars['stringData']) ?? {}), ['token'])
  t.equal(metadataOf(sidecars)['namespace'], at(decider, 'runners.namespace'))
  t.end()
})

function exampleSecrets(): Body[] {
  return readObjects(readFileSync('manifests/examples/secrets.yaml', 'utf8'))
}
