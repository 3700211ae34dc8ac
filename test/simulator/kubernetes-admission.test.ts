import t, { type Test } from 'tap'
import { createKubernetes, type KubernetesCore } from '../../simulator/kubernetes/core.ts'
import { createTestAuthority } from '../support/authority.ts'
import { evaluateCondition } from '../support/cel.ts'
import { comparable, readRecording, type Body } from '../support/recordings.ts'
import { startWebhook } from '../support/webhook-server.ts'

const authority = createTestAuthority('test authority')
const leaf = authority.issue({ names: ['webhook.gitlab-runner-hadr.svc'] })
const SIDECAR = {
  name: 'gitlab-runner-hadr',
  image: 'registry.example.com/gitlab-runner-hadr:1.0.0',
  resources: { requests: { cpu: '10m', memory: '32Mi' }, limits: { cpu: '100m', memory: '64Mi' } },
}

interface Review {
  request: { uid: string; name?: string; object: Body }
}

type Patcher = (webhook: string, pod: Body, call: number) => unknown[] | null

interface Call {
  webhook: string
  uid: string
  review: string
}

/** A server with webhooks by path, all behind one Service; `patch` says what each answers. */
async function startWebhooks(t: Test, core: KubernetesCore, patch: Patcher) {
  const calls: Call[] = []
  const server = await startWebhook(t, leaf, (request, response, body) => {
    const webhook = /^\/([^?]+)/.exec(request.url ?? '')?.[1] ?? ''
    const { uid, object } = (JSON.parse(body) as Review).request
    calls.push({ webhook, uid, review: body })
    const operations = patch(webhook, object, calls.length)
    const answer = {
      uid,
      allowed: true,
      ...(operations && { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(operations)).toString('base64') }),
    }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: answer }))
  })
  core.state.addService('gitlab-runner-hadr', 'webhook', () => ({ host: '127.0.0.1', port: server.port }))
  t.teardown(() => core.close())
  return { calls, server }
}

function webhookOf(path: string, more: Body = {}): Body {
  return {
    name: `${path}.gitlab-runner-hadr.io`,
    clientConfig: {
      service: { namespace: 'gitlab-runner-hadr', name: 'webhook', path: `/${path}` },
      caBundle: Buffer.from(authority.certPem).toString('base64'),
    },
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    failurePolicy: 'Ignore',
    timeoutSeconds: 5,
    rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }],
    ...more,
  }
}

function configure({ state }: KubernetesCore, name: string, ...webhooks: Body[]): void {
  state.put('webhookConfigurations', { metadata: { name }, webhooks })
}

async function createPod(core: KubernetesCore, pod: Body, namespace = 'team-runners') {
  const answer = await core.handle({
    method: 'POST',
    path: `/api/v1/namespaces/${namespace}/pods`,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(pod),
  })
  return { status: answer.status, body: JSON.parse(answer.body) as Body }
}

function runnerPod(name: string, more: Body = {}): Body {
  const containers = [{ name: 'gitlab-runner', image: 'registry.example.com/app:1' }]
  return { metadata: { name, labels: { app: 'gitlab-runner' } }, spec: { containers, ...more } }
}

const listOf = (pod: Body, list: string) => ((pod['spec'] as Body)[list] ?? []) as Body[]
const namesIn = (pod: Body) => listOf(pod, 'containers').map(({ name }) => String(name))

interface Recorded {
  status: number
  containers: string[]
  calls: { webhook: string; containers: string[]; mounts?: unknown[][]; patched: unknown[] | null }[]
}

/** How each recorded case was set up: configurations in the order of their names. */
const SETUPS: Record<string, { configurations: [string, ...Body[]][]; spec?: Body }> = {
  'ours-IfNeeded_other-mutates': {
    configurations: [
      ['a', ours('IfNeeded')],
      ['b', other('Never')],
    ],
  },
  'ours-Never_other-mutates': {
    configurations: [
      ['a', ours('Never')],
      ['b', other('Never')],
    ],
  },
  'ours-IfNeeded_other-silent': {
    configurations: [
      ['a', ours('IfNeeded')],
      ['b', other('Never')],
    ],
  },
  'both-IfNeeded': {
    configurations: [
      ['a', ours('IfNeeded')],
      ['b', other('IfNeeded')],
    ],
  },
  'other-relabels': {
    configurations: [
      ['a', ours('IfNeeded')],
      ['b', other('Never')],
    ],
  },
  'other-strips-our-container': {
    configurations: [
      ['a', ours('IfNeeded')],
      ['b', other('IfNeeded')],
    ],
  },
  'same-configuration-two-entries': { configurations: [['a', ours('IfNeeded'), other('Never')]] },
  'ours-runs-last': {
    configurations: [
      ['b', other('Never')],
      ['z', ours('IfNeeded')],
    ],
  },
  alone: { configurations: [['a', ours('IfNeeded')]] },
  'no-token_alone': {
    configurations: [
      ['a', ours('IfNeeded')],
      ['b', other('Never')],
    ],
    spec: { automountServiceAccountToken: false },
  },
  'no-token_other-relabels': {
    configurations: [
      ['a', ours('IfNeeded')],
      ['b', other('Never')],
    ],
    spec: { automountServiceAccountToken: false },
  },
  token_alone_again: {
    configurations: [
      ['a', ours('IfNeeded')],
      ['b', other('Never')],
    ],
  },
}

function ours(reinvocationPolicy: string): Body {
  return webhookOf('ours', { reinvocationPolicy })
}

function other(reinvocationPolicy: string): Body {
  return webhookOf('other', { reinvocationPolicy })
}

void t.test('webhooks are called again exactly when a real server did', async t => {
  const recorded = readRecording('reinvocation.json') as Record<string, Recorded>
  t.same(Object.keys(recorded).sort(), Object.keys(SETUPS).sort(), 'every recorded case is played')
  for (const [name, wanted] of Object.entries(recorded)) {
    await t.test(name, async t => {
      const core = createKubernetes()
      core.state.addNamespace('team-runners')
      const setup = SETUPS[name] ?? { configurations: [] }
      // The recorded patches are answered again, in the order in which they were.
      const { calls } = await startWebhooks(t, core, (_webhook, pod, call) => {
        const patch = wanted.calls[call - 1]?.patched ?? null
        return name === 'other-strips-our-container' && patch && call % 2 === 0 ? stripped(pod) : patch
      })
      for (const [configuration, ...webhooks] of setup.configurations) configure(core, configuration, ...webhooks)
      const { status, body } = await createPod(core, runnerPod('p', setup.spec))
      t.equal(status, wanted.status)
      t.same(namesIn(body), wanted.containers)
      const shown = (review: string) => {
        const { object } = (JSON.parse(review) as Review).request
        const mounts = listOf(object, 'containers').map(
          container => ((container['volumeMounts'] ?? []) as unknown[]).length,
        )
        return { containers: namesIn(object), mounts }
      }
      t.same(
        calls.map(({ webhook, review }) => ({ webhook, ...shown(review) })),
        wanted.calls.map(({ webhook, containers, mounts = [] }) => ({
          webhook,
          containers,
          mounts: containers.map((_container, at) => mounts[at]?.length ?? 0),
        })),
      )
      t.equal(new Set(calls.map(({ uid }) => uid)).size, calls.length, 'each call has a uid of its own')
    })
  }
})

function stripped(pod: Body): unknown[] {
  const containers = listOf(pod, 'containers').filter(({ name }) => name !== SIDECAR.name)
  return [{ op: 'replace', path: '/spec/containers', value: containers }]
}

void t.test('a pod is stored with the sidecar as a real server stored it', async t => {
  const { patch, pod } = readRecording('pod-after-injection.json') as { patch: unknown[]; pod: Body }
  const core = createKubernetes()
  core.state.addNamespace('team-runners')
  await startWebhooks(t, core, (_webhook, _pod, call) => (call === 1 ? patch : null))
  configure(core, 'a', webhookOf('ours', { reinvocationPolicy: 'IfNeeded' }))
  const name = String((pod['metadata'] as Body)['name'])
  const { body } = await createPod(core, runnerPod(name))
  t.same(comparable(body), comparable(pod))
})

const REVIEWS = [
  'generate-name',
  'host-network',
  'no-volumes-no-token',
  'init-containers',
  'chart-default-release',
  'mirror-annotated',
  'labels-null',
]

void t.test('a review is sent as a real server sent it', async t => {
  for (const name of REVIEWS) {
    await t.test(name, async t => {
      const recorded = readRecording(`admission-reviews/${name}.json`) as {
        bodyText: string
        body: Body
        headers: Body
      }
      const wanted = recorded.body['request'] as Body
      const core = createKubernetes()
      core.state.addNamespace('team-runners')
      const { username, uid, groups } = wanted['userInfo'] as { username: string; uid: string; groups: string[] }
      core.state.addToken('token', { username, uid, groups }, 'everything')
      const { calls } = await startWebhooks(t, core, () => null)
      configure(core, 'a', webhookOf('ours'))
      await core.handle({
        method: 'POST',
        path: '/api/v1/namespaces/team-runners/pods',
        headers: { 'content-type': 'application/json', authorization: 'Bearer token' },
        body: JSON.stringify(wanted['object']),
      })
      const sent = calls[0]?.review ?? ''
      const review = JSON.parse(sent) as Body
      const request = review['request'] as Body
      t.same(Object.keys(request), Object.keys(wanted), 'members in the same order')
      t.same(comparable(request['userInfo']), comparable({ username, uid, groups }))
      t.same(
        comparable({ ...request, userInfo: null, options: null }),
        comparable({ ...wanted, userInfo: null, options: null }),
      )
      t.match(request['options'], { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1' })
      t.ok(sent.endsWith('}\n'))
    })
  }
})

interface Truth {
  pod: string
  namespace: string
  namespaceLabel: string | null
  labels: Body | null
  annotations: Body | null
  restartPolicy: string
  clientStatus: number
  called: Record<string, boolean>
}

interface Behaviour {
  name: string
  failurePolicy?: string
  matchConditions: Body[]
  pod?: string
  clientStatus?: number
  called?: boolean
  clientBody?: Body
}

interface Matching {
  namespaceSelector: Body
  objectSelector: Body
  matchConditions: Body[]
  truthTable: Truth[]
  celBehaviour: Behaviour[]
}

const matching = readRecording('matching.json') as Matching
/** Their expressions are not in the recording. */
const UNKNOWN_WEBHOOKS = ['has-style', 'unsafe-index', 'unsafe-or-first-errors']

for (const [evaluator, options] of Object.entries({
  'the known conditions': {},
  'a CEL library': { evaluateCondition },
})) {
  void t.test(`selectors and match conditions choose the pods that a real server chose, by ${evaluator}`, async t => {
    t.comment(`not compared: ${UNKNOWN_WEBHOOKS.join(', ')}: their expressions were not recorded`)
    const { namespaceSelector, objectSelector, matchConditions } = matching
    const condition = (name: string) => matchConditions.filter(each => each['name'] === name)
    const webhooks: Record<string, Body> = {
      full: { namespaceSelector, objectSelector, matchConditions },
      'namespace-selector': { namespaceSelector },
      'object-selector': { objectSelector },
      conditions: { matchConditions },
      ...Object.fromEntries(
        matchConditions.map(({ name }) => [`condition-${String(name)}`, { matchConditions: condition(String(name)) }]),
      ),
    }
    const core = createKubernetes(options)
    const { calls } = await startWebhooks(t, core, () => null)
    configure(core, 'a', ...Object.entries(webhooks).map(([path, more]) => webhookOf(path, more)))
    for (const { namespace, namespaceLabel } of matching.truthTable) {
      if (core.state.get('namespaces', '', namespace)) continue
      core.state.addNamespace(
        namespace,
        namespaceLabel === null || namespaceLabel.startsWith('(')
          ? {}
          : { 'gitlab-runner-hadr.io/inject': namespaceLabel },
      )
    }
    for (const [index, truth] of matching.truthTable.entries()) {
      calls.length = 0
      const { restartPolicy, labels, annotations, namespace } = truth
      const spec = restartPolicy.startsWith('(') ? {} : { restartPolicy }
      const pod = {
        metadata: { name: `m${index}`, labels, annotations },
        spec: { containers: [{ name: 'c', image: 'i:1' }], ...spec },
      }
      await createPod(core, pod, namespace)
      const called = calls.map(({ webhook }) => webhook).sort()
      const wanted = Object.keys(webhooks).filter(name => truth.called[name] === true)
      t.same(called, wanted.sort(), `${truth.pod} in ${namespace}`)
    }
  })
}

void t.test('errors in match conditions have the recorded effect', async t => {
  for (const [index, row] of matching.celBehaviour.entries()) {
    if (row.clientStatus === undefined || row.failurePolicy === undefined) {
      t.comment(`not compared: ${row.name}: a refusal when the configuration is created; no CEL is parsed`)
      continue
    }
    if (JSON.stringify(row.matchConditions).includes('authorizer')) {
      t.comment(`not compared: ${row.name}: asks for rights, which needs more than CEL`)
      continue
    }
    await t.test(`${row.name}, ${row.failurePolicy}, ${row.pod ?? ''}`, async t => {
      const core = createKubernetes({ evaluateCondition })
      core.state.addNamespace('m-enabled')
      const { calls } = await startWebhooks(t, core, () => null)
      const { failurePolicy, matchConditions } = row
      configure(core, 'cel', webhookOf('cel', { failurePolicy, matchConditions }))
      const labels = row.pod === 'app label' ? { app: 'gitlab-runner' } : null
      const name = row.pod === 'generateName' ? { generateName: 'm-' } : { name: `m${index}` }
      const { status, body } = await createPod(
        core,
        { metadata: { ...name, labels }, spec: { containers: [{ name: 'c', image: 'i:1' }] } },
        'm-enabled',
      )
      t.equal(status, row.clientStatus)
      t.equal(calls.length > 0, row.called)
      const neutral = (value: unknown) =>
        JSON.parse(
          JSON.stringify(value)
            .replace(/"m\d+\b/g, '"m')
            .replace(/\\"m\d+\\"/g, '\\"m\\"'),
        ) as unknown
      if (row.clientBody) t.same(neutral(body), neutral(row.clientBody))
    })
  }
})

void t.test('connections are kept, and a changed caBundle makes new ones', async t => {
  const core = createKubernetes()
  core.state.addNamespace('team-runners')
  const { server } = await startWebhooks(t, core, () => null)
  configure(core, 'a', webhookOf('ours'))
  for (let number = 0; number < 20; number++) await createPod(core, runnerPod(`p${number}`))
  t.equal(server.connections(), 1)
  const another = Buffer.from(`${authority.certPem}\n${createTestAuthority('new').certPem}`).toString('base64')
  const webhook = webhookOf('ours')
  configure(core, 'a', { ...webhook, clientConfig: { ...(webhook['clientConfig'] as Body), caBundle: another } })
  await createPod(core, runnerPod('later'))
  t.equal(server.connections(), 2)
})
