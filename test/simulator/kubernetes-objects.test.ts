import t from 'tap'
import { createKubernetes, type KubernetesCore } from '../../simulator/kubernetes/core.ts'
import { warningHeader } from '../../simulator/kubernetes/answers.ts'
import { createRandom } from '../support/random.ts'
import { comparable, isBody, readRecordings, Translation, versionsIn, type Body } from '../support/recordings.ts'

interface Row {
  group: string
  name: string
  request?: { method: string; path: string; contentType?: string; body?: unknown; as?: string; accept?: string }
  response?: { status: number; headers: Record<string, string>; body?: unknown }
  statuses?: number[]
}

const rows = readRecordings('objects.jsonl') as Row[]
const title = ({ group, name }: Row) => `${group}: ${name}`

const APPLY = 'server-side apply is not simulated: no program of the project uses it'
const CLUSTER = 'comes from a part of a cluster that is not simulated'
/** What is not compared, and why. Everything else in the recording is. */
const NOT_COMPARED: Readonly<Record<string, string>> = {
  'scale: the Deployment itself (status as the controller writes it)': 'no controller runs: the status is set by tests',
  'scale: server-side apply on scale': APPLY,
  'list: accept-encoding gzip on a small answer: not compressed': 'transport: the simulator compresses nothing',
  'error: ResourceQuota: a container without limits: 403': CLUSTER,
  'error: Pod Security restricted: 403': CLUSTER,
  'error: Pod Security restricted: Deployment only warns': CLUSTER,
  'discovery: /version': 'the recorded build has no version stamped into it',
  'discovery: /livez?verbose=false': 'names the parts of a real server',
  'discovery: /apis/coordination.k8s.io/v1': 'the simulator lacks deletecollection and storage hashes',
  'discovery: /.well-known/openid-configuration': CLUSTER,
  'webhookconfiguration: client-side kubectl apply keeps a caBundle written by another manager; kubectl replace drops it':
    'a run of kubectl, not an exchange',
}
const CALLS = 'webhookconfiguration: calling a webhook whose caBundle'
/** Lists of whole pods of a Deployment: the names are compared, the pods are in the admission recordings. */
const NAMES_ONLY =
  'list: resourceVersionMatch=Exact at a version that etcd has compacted, still served from the watch cache'
const reasonOf = (row: Row): string | undefined => {
  const type = row.request?.contentType
  if (title(row).startsWith(CALLS)) return 'calls through caBundles have a test of their own, kubernetes-ca-bundles'
  return type === 'application/apply-patch+yaml' ? APPLY : NOT_COMPARED[title(row)]
}

const DECIDER = 'ServiceAccount decider'
const decider = {
  username: 'system:serviceaccount:gitlab-runner-hadr:decider',
  uid: 'u3',
  groups: ['system:serviceaccounts', 'system:serviceaccounts:gitlab-runner-hadr', 'system:authenticated'],
}

function prepare({ state }: KubernetesCore): void {
  state.addNamespace('objects')
  state.addToken('nobody', { username: 'nobody' })
  state.addToken('admin', { username: 'admin' }, 'everything')
  state.addToken('decider', decider, [
    {
      role: 'decider',
      namespace: 'objects',
      rules: [
        {
          apiGroups: ['coordination.k8s.io'],
          resources: ['leases'],
          verbs: ['get', 'update', 'patch'],
          resourceNames: ['hadr-decider'],
        },
        { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create'] },
        {
          apiGroups: ['apps'],
          resources: ['deployments/scale'],
          verbs: ['get', 'patch'],
          resourceNames: ['gl-gitlab-runner'],
        },
        { apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch'] },
      ],
    },
  ])
}

/** What happened beside the recorded requests, before the row of that title. */
async function between(core: KubernetesCore, row: Row): Promise<void> {
  const { state } = core
  switch (title(row)) {
    case 'lease: server-side apply creates':
      state.put('leases', { metadata: { name: 'by-apply', namespace: 'objects' }, spec: { holderIdentity: 'x' } })
      break
    case 'lease: merge patch with the current resourceVersion: 200':
      // The row before kept only one member of the answer, so its version is not known from there.
      versions.learn('1578', versionsIn(state.get('leases', 'objects', 'hadr-decider'))[0] ?? '')
      break
    case 'webhookconfiguration: own: certs write caBundle into both by JSON patch': {
      const webhook = (name: string) => ({
        name,
        clientConfig: { service: { name: 'w', namespace: 'gitlab-runner-hadr' } },
        sideEffects: 'None',
        admissionReviewVersions: ['v1'],
      })
      const webhooks = [webhook('inject.gitlab-runner-hadr.io'), webhook('second.gitlab-runner-hadr.io')]
      state.put('webhookConfigurations', { metadata: { name: 'hadr-own' }, webhooks })
      break
    }
    case 'scale: get':
      state.put('deployments', {
        metadata: { name: 'gl-gitlab-runner', namespace: 'objects' },
        spec: { replicas: 2, selector: { matchLabels: { app: 'gl-gitlab-runner' } } },
        status: { replicas: 2 },
      })
      break
    case 'scale: get at zero':
      state.setDeploymentStatus('objects', 'gl-gitlab-runner', { replicas: 0 })
      break
    case 'scale: dry run':
      state.put('deployments', {
        metadata: { name: 'gl-gitlab-runner', namespace: 'objects' },
        spec: { replicas: 2, selector: { matchLabels: { app: 'gl-gitlab-runner' } } },
        status: { replicas: 0 },
      })
      break
    case 'list: labelSelector and limit': {
      const create = (name: string, labels: Body) =>
        core.handle({
          method: 'POST',
          path: '/api/v1/namespaces/objects/pods',
          headers: {},
          body: JSON.stringify({
            metadata: { name, labels },
            spec: {
              containers: [{ name: 'c', image: 'registry.example.com/app:1' }],
              automountServiceAccountToken: false,
            },
          }),
        })
      for (const suffix of ['6cprm', 'l8nxd']) await create(`gl-gitlab-runner-5b9c5c4cbf-${suffix}`, {})
      for (let number = 0; number < 7; number++) {
        const parity = number % 2 === 0 ? 'even' : 'odd'
        await create(`list-${number}`, { l: 'yes', 'manager.runner.gitlab.com/id-short': parity })
      }
      break
    }
    case 'list: resourceVersion in the future: 504 after 3 s':
      state.put('secrets', { metadata: { name: 'elsewhere', namespace: 'objects' } })
      break
    case 'auth: no token: anonymous, 403':
      state.enforceRbac(true)
      break
    case 'error: 404 for an unknown resource':
      state.enforceRbac(false)
      break
  }
}

const versions = new Translation()
const names = new Translation()

/** A recorded path or body with the versions, names and bundles of this run. */
function translate(text: string, row: Row): string {
  const shared = [57, 60, 61, 62].includes(rows.indexOf(row)) ? 'shared' : String(rows.indexOf(row))
  return text
    .replaceAll('<base64 of PEM CA bundle>', Buffer.from(`bundle ${shared}`).toString('base64'))
    .replace(
      /("resourceVersion":"|resourceVersion=)(\d+)/g,
      (_all, start: string, version: string) => start + versions.here(version),
    )
    .replace(/hadr-decider-[a-z0-9]{5}\b/g, name => names.here(name))
    .replace(/continue=([\w-]+)/g, (_all, token: string) => `continue=${translateToken(token)}`)
}

function translateToken(token: string): string {
  if (token === 'abc') return token
  const { rv, ...rest } = JSON.parse(Buffer.from(token, 'base64url').toString('utf8')) as { rv: number }
  return Buffer.from(JSON.stringify({ rv: Number(versions.here(String(rv))), ...rest })).toString('base64url')
}

function bodyOf({ request }: Row): string {
  const body = request?.body
  const size = typeof body === 'string' ? /^\(a body of (\d+) characters/.exec(body)?.[1] : undefined
  if (size !== undefined) {
    const data = 'A'.repeat(Math.floor((Number(size) - 43) / 4) * 4)
    return JSON.stringify({ metadata: { name: 'bad' }, data: { a: data } }).padEnd(Number(size))
  }
  return body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body)
}

function tokenOf(as: string | undefined): string | undefined {
  if (as === undefined) return 'admin'
  if (as.startsWith('no credentials')) return undefined
  if (as.startsWith('invalid')) return 'unknown'
  return as.startsWith(DECIDER) ? 'decider' : 'nobody'
}

async function send(core: KubernetesCore, row: Row) {
  const { method = 'GET', path = '/', contentType, as, accept } = row.request ?? {}
  const token = tokenOf(as)
  const answer = await core.handle({
    method,
    path: translate(path, row),
    headers: {
      ...(contentType !== undefined && { 'content-type': contentType }),
      ...(accept !== undefined && { accept }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
    body: translate(bodyOf(row), row),
  })
  const body: unknown = answer.headers['content-type'] === 'application/json' ? JSON.parse(answer.body) : answer.body
  return { ...answer, body }
}

/** Recordings hold some bodies in part; this takes the same part of ours. */
function partLike(recorded: unknown, ours: unknown): unknown {
  if (!isBody(recorded) || !isBody(ours) || 'metadata' in recorded) {
    if (!isBody(recorded) || !isBody(ours) || !Array.isArray(recorded['items'])) return ours
    return recorded['items'].some(isBody) ? ours : { ...ours, items: itemNames(ours) }
  }
  const metadata = isBody(ours['metadata']) ? ours['metadata'] : {}
  return Object.fromEntries(
    Object.entries(recorded).map(([name, value]) => {
      if (name.endsWith(' as returned')) return [name, (ours['spec'] as Body)['renewTime'] ?? '(absent)']
      if (name === 'accepted') return [name, ours['webhooks']]
      return [name, ours[name] ?? metadata[name] ?? value]
    }),
  )
}

void t.test('every recorded exchange about objects is answered with the same status and body', async t => {
  const core = createKubernetes({ random: createRandom(1) })
  t.teardown(() => core.close())
  prepare(core)
  for (const row of rows) {
    await between(core, row)
    const reason = reasonOf(row)
    if (reason !== undefined) {
      t.comment(`not compared: ${title(row)}: ${reason}`)
      continue
    }
    await t.test(title(row), async t => {
      if (row.statuses) {
        t.same((await race(core, row)).sort(), row.statuses.sort())
        return
      }
      const { response } = row
      if (!response) {
        t.fail('a row without a response')
        return
      }
      const answer = await send(core, row)
      t.equal(answer.status, response.status)
      if (title(row) === NAMES_ONLY) {
        t.same(itemNames(answer.body), itemNames(response.body))
        return
      }
      const ours = partLike(response.body, answer.body)
      learnNames(response.body, ours)
      t.same(comparable(ours), comparable(response.body))
      const here = versionsIn(ours)
      for (const [index, version] of versionsIn(response.body).entries()) {
        t.equal(
          versions.learn(version, here[index] ?? 'none'),
          undefined,
          'the version changes when the recorded one does',
        )
      }
      t.equal(answer.headers['content-type'], response.headers['content-type'])
      t.equal(answer.headers['retry-after'], response.headers['retry-after'])
      t.equal((answer.warnings ?? []).map(warningHeader).join(', '), response.headers['warning'] ?? '')
    })
  }
})

function itemNames(list: unknown): unknown[] {
  const items = isBody(list) ? (list['items'] as Body[]) : []
  return items.map(item => (item['metadata'] as Body)['name'])
}

/** Generated names. */
function learnNames(recorded: unknown, ours: unknown): void {
  if (!isBody(recorded) || !isBody(ours) || !isBody(recorded['metadata']) || !isBody(ours['metadata'])) return
  const { name, generateName } = recorded['metadata']
  if (typeof name === 'string' && generateName !== undefined) names.learn(name, String(ours['metadata']['name']))
}

async function race(core: KubernetesCore, row: Row): Promise<number[]> {
  const path = '/apis/coordination.k8s.io/v1/namespaces/objects/leases'
  const lease = (holder: string) => ({
    metadata: { name: 'race', namespace: 'objects' },
    spec: { holderIdentity: holder },
  })
  const ask = async (method: string, path: string, body: object) => {
    const headers = { 'content-type': 'application/json' }
    return (await core.handle({ method, path, headers, body: JSON.stringify(body) })).status
  }
  const ten = Array.from({ length: 10 }, (_, number) => `pod-${number}`)
  if (row.name.startsWith('race: ten POSTs')) {
    core.state.remove('leases', 'objects', 'race')
    return Promise.all(ten.map(holder => ask('POST', path, lease(holder))))
  }
  core.state.put('leases', lease('first'))
  const version = (core.state.get('leases', 'objects', 'race')?.['metadata'] as Body)['resourceVersion']
  return Promise.all(
    ten.map(holder => {
      const { metadata, spec } = lease(holder)
      return ask('PUT', `${path}/race`, { metadata: { ...metadata, resourceVersion: version }, spec })
    }),
  )
}

void t.test('what is said to be not compared is in the recording', t => {
  const titles = new Set(rows.map(title))
  for (const name of Object.keys(NOT_COMPARED)) t.ok(titles.has(name), name)
  t.end()
})
