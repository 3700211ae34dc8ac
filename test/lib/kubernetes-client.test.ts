import t from 'tap'
import { KubernetesError } from '../../lib/kubernetes/errors.ts'
import { microTime } from '../../lib/kubernetes/micro-time.ts'
import { open, startApi } from '../support/kubernetes.ts'

async function failureOf(work: Promise<unknown>): Promise<KubernetesError> {
  try {
    await work
  } catch (error) {
    if (error instanceof KubernetesError) return error
    throw error
  }
  throw new Error('it should have failed')
}

const secret = (name: string) => ({ metadata: { name, namespace: 'default' }, data: { key: 'Yg==' } })

void t.test('many calls share few connections', async t => {
  const api = await startApi(t)
  const { client } = await open(t, api)
  await client.createSecret(secret('a'))
  for (let number = 0; number < 100; number++) await client.secret('default', 'a')
  t.ok(api.connectionCount() <= 2, `${api.connectionCount()} connections`)
})

void t.test('a stale replacement and a failing test are both a conflict', async t => {
  const api = await startApi(t)
  const { client } = await open(t, api)
  const created = await client.createSecret(secret('a'))
  await client.replaceSecret({ ...created, data: { key: 'Yw==' } })
  t.equal((await failureOf(client.replaceSecret(created))).kind, 'conflict')
  t.equal((await failureOf(client.createSecret(secret('a')))).kind, 'already_exists')
  api.state.put('deployments', {
    metadata: { name: 'runners', namespace: 'default' },
    spec: { replicas: 2, selector: { matchLabels: { app: 'runner' } } },
  })
  t.equal((await failureOf(client.scaleDeployment('default', 'runners', 3, 4))).kind, 'conflict')
})

void t.test('a deployment is scaled to zero and back', async t => {
  const api = await startApi(t)
  const { client } = await open(t, api)
  api.state.put('deployments', {
    metadata: { name: 'runners', namespace: 'default' },
    spec: { replicas: 2, selector: { matchLabels: { app: 'runner' } } },
  })
  t.same(await client.deploymentScale('default', 'runners'), { wanted: 2, present: 0, selector: 'app=runner' })
  t.equal((await client.scaleDeployment('default', 'runners', 2, 0)).wanted, 0)
  t.equal((await client.scaleDeployment('default', 'runners', 0, 3)).wanted, 3)
})

void t.test('the server tells its version, also in the way of providers who add to it', async t => {
  const api = await startApi(t)
  const { client } = await open(t, api)
  t.same(await client.serverVersion(), { major: 1, minor: 36 })
  const answer = (body: object) =>
    api.faults.add({ fault: { kind: 'status', status: 200, body: JSON.stringify(body) }, count: 1 })
  answer({ major: '1', minor: '29+' })
  t.same(await client.serverVersion(), { major: 1, minor: 29 })
  answer({ major: '', minor: '' })
  t.equal((await failureOf(client.serverVersion())).kind, 'invalid_answer')
})

void t.test('caBundle is patched by name and keeps everything else', async t => {
  const api = await startApi(t)
  const { client } = await open(t, api)
  const service = { name: 'w', namespace: 'n' }
  const webhook = {
    name: 'inject.example.com',
    clientConfig: { service },
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
  }
  api.state.put('webhookConfigurations', { metadata: { name: 'hadr' }, webhooks: [webhook] })
  const patch = (name: string) =>
    client.patchWebhookConfiguration(
      'hadr',
      [
        { op: 'test', path: '/webhooks/0/name', value: name },
        { op: 'add', path: '/webhooks/0/clientConfig/caBundle', value: 'bmV3' },
      ],
      'certs',
    )
  t.match((await patch('inject.example.com'))['webhooks'], [{ clientConfig: { caBundle: 'bmV3', service } }])
  t.equal((await failureOf(patch('renamed.example.com'))).kind, 'conflict')
})

void t.test('pods are listed over all pages, events are accepted, rights are asked for', async t => {
  const api = await startApi(t)
  for (let number = 0; number < 501; number++) {
    api.state.put('pods', { metadata: { name: `p${number}`, namespace: 'default', labels: { l: 'yes' } } })
  }
  const { client } = await open(t, api)
  t.equal((await client.pods('default', 'l=yes')).length, 501)
  await client.createEvent({
    regarding: { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'default', name: 'runners' },
    type: 'Normal',
    reason: 'MainTagMoved',
    action: 'MoveMainTag',
    note: 'x'.repeat(2000),
    reportingController: 'gitlab-runner-hadr.io/decider',
    reportingInstance: 'decider-0',
  })
  t.equal(api.state.list('events').length, 1)
  api.state.addToken('poor', { username: 'poor' })
  api.state.enforceRbac(true)
  const poor = await open(t, api, { token: 'poor' })
  const question = { verb: 'list', resource: 'pods', namespace: 'default' }
  t.equal(await poor.client.allowed(question), false)
  t.equal(await client.allowed(question), true)
  t.equal((await failureOf(poor.client.pods('default', ''))).kind, 'forbidden')
  const stranger = await open(t, api, { token: 'stranger' })
  t.equal((await failureOf(stranger.client.pods('default', ''))).kind, 'unauthorized')
})

void t.test(
  'a server that hangs, breaks, is down or answers nonsense is unavailable or misunderstood, never a stuck call',
  async t => {
    const api = await startApi(t)
    const { client } = await open(t, api, { callDeadlineMs: 200 })
    await client.createSecret(secret('a'))
    const kindUnder = async (fault: Parameters<typeof api.faults.add>[0]['fault']) => {
      const remove = api.faults.add({ fault })
      const error = await failureOf(client.secret('default', 'a'))
      remove()
      return error
    }
    t.match(await kindUnder({ kind: 'hang' }), { kind: 'unavailable', ambiguous: true, message: /200 ms/ })
    t.match(await kindUnder({ kind: 'reset' }), { kind: 'unavailable' })
    t.match(await kindUnder({ kind: 'status', status: 503, headers: { 'retry-after': '2' } }), {
      kind: 'unavailable',
      more: { retryAfterMs: 2000 },
    })
    t.match(await kindUnder({ kind: 'status', status: 429 }), { kind: 'rate_limited' })
    t.match(await kindUnder({ kind: 'status', status: 200, body: '<html>' }), { kind: 'invalid_answer' })
    await api.stop()
    t.equal((await failureOf(client.secret('default', 'a'))).kind, 'unavailable')
    await api.start()
    t.equal((await client.secret('default', 'a')).metadata.name, 'a')
    const gone = AbortSignal.abort(new Error('given up'))
    t.equal((await failureOf(client.secret('default', 'a', gone))).kind, 'unavailable')
  },
)

void t.test('an error never quotes a whole object', async t => {
  const api = await startApi(t)
  const { client } = await open(t, api)
  const secretWithLease = { metadata: { name: 'l', namespace: 'default' }, spec: { renewTime: 'yesterday' } }
  const error = await failureOf(client.createLease(secretWithLease))
  t.match(error, { kind: 'refused', message: /parsing time/ })
  t.ok(error.message.length < 450)
})

void t.test('a MicroTime has six decimals', t => {
  t.equal(microTime(Date.UTC(2026, 0, 1, 0, 0, 0, 123)), '2026-01-01T00:00:00.123000Z')
  t.end()
})
