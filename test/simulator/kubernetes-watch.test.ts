import t from 'tap'
import type { Answer } from '../../simulator/kubernetes/answers.ts'
import { createKubernetes, type KubernetesCore } from '../../simulator/kubernetes/core.ts'
import { createManualClock, type ManualClock } from '../support/manual-clock.ts'
import { createRandom } from '../support/random.ts'
import { comparable, isBody, readRecordings, Translation, type Body } from '../support/recordings.ts'

interface Event {
  atMs: number
  type: string
  object: Body
}

interface Row {
  name: string
  request: { path: string }
  response: { status: number; events?: Event[]; body?: Body; endedAfterMs?: number }
}

const rows = readRecordings('watch.jsonl') as Row[]

/** What is not compared, and why. Everything else in the recording is. */
const NOT_COMPARED: Readonly<Record<string, string>> = {
  'API server stopped with SIGTERM during a watch':
    'how long a stopping server keeps watches open is a habit of its build',
  'requests on new connections while the server stops, is down and starts again':
    'the same; see kubernetes-server.test.ts',
  'API server killed (SIGKILL) during a watch': 'a broken connection; see kubernetes-server.test.ts',
}

const WATCHED = 'watch'
const versions = new Translation()

function podOf(name: string, labels: Body): Body {
  const spec = { containers: [{ name: 'c', image: 'registry.example.com/app:1' }] }
  return { metadata: { name, namespace: WATCHED, labels }, spec }
}

function versionOf(object: Body): string {
  return String((object['metadata'] as Body)['resourceVersion'])
}

function putPod({ state }: KubernetesCore, name: string, labels: Body): void {
  state.put('pods', podOf(name, labels))
}

async function send(core: KubernetesCore, path: string, token?: string): Promise<Answer> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  return core.handle({ method: 'GET', path, headers, body: '' })
}

async function patchLabels(core: KubernetesCore, name: string, value: string): Promise<void> {
  await core.handle({
    method: 'PATCH',
    path: `/api/v1/namespaces/${WATCHED}/pods/${name}`,
    headers: { 'content-type': 'application/merge-patch+json' },
    body: JSON.stringify({ metadata: { labels: { w: value } } }),
  })
}

/** What happens before a row's request. */
function before(core: KubernetesCore, { name }: Row): void {
  const { state } = core
  if (name.startsWith('without resourceVersion')) {
    putPod(core, 'a', { w: 'yes' })
    putPod(core, 'b', { w: 'yes' })
  }
  if (name.startsWith('from a list')) versions.learn('1789', String(state.version))
  if (name.startsWith('allowWatchBookmarks')) versions.learn('1794', String(state.version))
  if (name.startsWith('sendInitialEvents (')) putPod(core, 'noise', { w: 'other' })
  if (name === '403' || name === '401') state.enforceRbac(true)
  if (name.startsWith('one Lease')) {
    state.enforceRbac(false)
    state.put('leases', { metadata: { name: 'l', namespace: WATCHED }, spec: { holderIdentity: 'a' } })
  }
  if (name.startsWith('MutatingWebhookConfiguration')) {
    const service = { name: 'w', namespace: 'gitlab-runner-hadr' }
    const answer = { sideEffects: 'None', admissionReviewVersions: ['v1'] }
    const webhooks = [{ name: 'inject.gitlab-runner-hadr.io', clientConfig: { service }, ...answer }]
    state.put('webhookConfigurations', { metadata: { name: 'hadr-min' }, webhooks })
  }
  if (name.startsWith('after the restart: watch from the last')) {
    versions.learn('1805', String(state.version))
    versions.learn('1804', String(state.version - 1))
    state.forgetHistory()
    putPod(core, 'd', {})
  }
  if (name.startsWith('after the crash')) versions.learn('1817', String(state.version))
}

/** What happens while a row's watch is open. */
async function during(core: KubernetesCore, { name }: Row): Promise<void> {
  const path = `/api/v1/namespaces/${WATCHED}/pods/c`
  if (name.startsWith('from a list')) {
    putPod(core, 'c', { w: 'yes' })
    await patchLabels(core, 'c', 'no')
    await patchLabels(core, 'c', 'yes')
    await core.handle({ method: 'DELETE', path, headers: {}, body: '' })
  }
  const patch = (at: string, body: unknown) =>
    core.handle({
      method: 'PATCH',
      path: at,
      headers: { 'content-type': 'application/json-patch+json' },
      body: JSON.stringify(body),
    })
  if (name.startsWith('one Lease')) {
    await patch(`/apis/coordination.k8s.io/v1/namespaces/${WATCHED}/leases/l`, [
      { op: 'replace', path: '/spec/holderIdentity', value: 'b' },
    ])
  }
  if (name.startsWith('MutatingWebhookConfiguration')) {
    await patch('/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/hadr-min', [
      { op: 'add', path: '/webhooks/0/clientConfig/caBundle', value: 'bmV3' },
    ])
  }
}

/** Events until the stream ends by itself; the clock moves on by a second at a time. */
async function follow(core: KubernetesCore, clock: ManualClock, answer: Answer, row: Row): Promise<Event[]> {
  if (!answer.events) {
    return [{ atMs: 0, type: '(not an event)', object: JSON.parse(answer.body) as Body }]
  }
  const seen: Event[] = []
  const startedMs = clock.monotonicMs()
  let ended = false
  const isEnded = () => ended
  const reading = (async (events: AsyncIterable<string>) => {
    for await (const line of events) {
      seen.push({ atMs: clock.monotonicMs() - startedMs, ...(JSON.parse(line) as { type: string; object: Body }) })
    }
    ended = true
  })(answer.events)
  await clock.advance(100)
  await during(core, row)
  for (let second = 0; second < 60 && !isEnded(); second++) await clock.advance(1000)
  await reading
  return seen
}

/** Recorded objects are reduced to their metadata; a deletion's time is `set`. */
function reduced({ type, object }: Event): unknown {
  if (type === 'ERROR' || type === 'BOOKMARK' || type === '(not an event)') return comparable({ type, object })
  const { name, labels, deletionTimestamp } = object['metadata'] as Body
  return { type, kind: object['kind'], name, labels, dying: deletionTimestamp !== undefined }
}

function translated(path: string): string {
  return path
    .replace(/resourceVersion=(\d{4})\b/, (_all, version: string) => `resourceVersion=${versions.here(version)}`)
    .replace(/continue=([\w-]+)/, (_all, token: string) => {
      const { rv, ...rest } = JSON.parse(Buffer.from(token, 'base64url').toString('utf8')) as { rv: number }
      const here = rv < 0 ? rv : Number(versions.here(String(rv)))
      return `continue=${Buffer.from(JSON.stringify({ rv: here, ...rest })).toString('base64url')}`
    })
}

void t.test('every recorded watch is answered with the same events', async t => {
  const clock = createManualClock()
  const core = createKubernetes({ clock, random: createRandom(1) })
  t.teardown(() => core.close())
  core.state.addNamespace(WATCHED)
  core.state.addToken('nobody', { username: 'nobody' })
  for (const row of rows) {
    const reason = NOT_COMPARED[row.name]
    if (reason !== undefined) {
      t.comment(`not compared: ${row.name}: ${reason}`)
      continue
    }
    await t.test(row.name, async t => {
      before(core, row)
      const token = row.name === '403' ? 'nobody' : row.name === '401' ? 'unknown' : undefined
      const answer = await send(core, translated(row.request.path), token)
      t.equal(answer.status, row.response.status)
      if (row.response.events) {
        const startedMs = clock.monotonicMs()
        const events = await follow(core, clock, answer, row)
        t.same(events.map(reduced), row.response.events.map(reduced))
        const tookMs = clock.monotonicMs() - startedMs
        const recordedMs = row.response.endedAfterMs ?? 0
        t.ok(Math.abs(tookMs - recordedMs) <= 1100, `it ends after ${recordedMs} ms, here after ${tookMs} ms`)
        return
      }
      const ours = JSON.parse(answer.body) as Body
      const items = ours['items']
      const shown = Array.isArray(items)
        ? { metadata: ours['metadata'], items: (items as Body[]).map(item => (item['metadata'] as Body)['name']) }
        : ours
      t.same(comparable(shown), comparable(row.response.body))
    })
  }
})

void t.test('a frozen watch stays open and tells nothing', async t => {
  const clock = createManualClock()
  const core = createKubernetes({ clock, random: createRandom(1) })
  t.teardown(() => core.close())
  core.state.addNamespace(WATCHED)
  const gone = new AbortController()
  const answer = await core.handle({
    method: 'GET',
    path: `/api/v1/namespaces/${WATCHED}/pods?watch=1&allowWatchBookmarks=true&resourceVersion=${core.state.version}`,
    headers: {},
    body: '',
    signal: gone.signal,
  })
  const seen: string[] = []
  const reading = (async () => {
    for await (const line of answer.events ?? []) seen.push(line)
  })()
  core.state.freezeWatches(true)
  putPod(core, 'unseen', {})
  await clock.advance(600_000)
  t.same(seen, [])
  gone.abort()
  await reading
  t.equal(clock.pending, 0, 'a client that goes away leaves no timer behind')
})

void t.test('versions grow with each write and stay without one', t => {
  const core = createKubernetes()
  const first = core.state.put('leases', { metadata: { name: 'x', namespace: 'default' } })
  const second = core.state.put('leases', { metadata: { name: 'y', namespace: 'default' } })
  t.ok(Number(versionOf(second)) > Number(versionOf(first)))
  t.ok(isBody(core.state.get('leases', 'default', 'x')))
  core.close()
  t.end()
})
