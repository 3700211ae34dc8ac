import { once } from 'node:events'
import { connect } from 'node:tls'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { systemClock } from '../../lib/service/clock.ts'
import { silentLog, type Log } from '../../lib/service/log.ts'
import { createOpsServer } from '../../lib/service/ops-server.ts'
import { createWebhook, type WebhookOptions } from '../../webhook/app.ts'
import { digestOf } from '../../webhook/config.ts'
import { SKIP_REASONS, type SkipReason } from '../../webhook/reasons.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { createRandom } from '../support/random.ts'
import { changes, scrape } from '../support/scrape.ts'
import { call, createAuthority, createPair, reviewBody, SERVER_NAME } from '../support/webhook.ts'
import { CREATE_POD, decideOptions, readPodCases, sidecarConfig } from './pods.ts'

const authority = await createAuthority()
const pair = await createPair(authority)
const ca = authority.certificate
const podCases = readPodCases()

interface Line {
  level: keyof Log
  message: string
  fields: Record<string, unknown>
}

/** A webhook on loopback, its ops server, and what it logs. Its clock stands still: every exchange takes no time. */
async function start(t: Test, more: Partial<WebhookOptions> = {}) {
  const lines: Line[] = []
  const write = (level: keyof Log) => (fields: object, message: string) => {
    lines.push({ level, message, fields: { ...fields } })
  }
  const log: Log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
  const clock = createManualClock(Date.now())
  const registry = new Registry()
  const webhook = createWebhook({
    config: { sidecar: sidecarConfig(), namespace: 'gitlab-runner-hadr' },
    listen: { host: '127.0.0.1', port: 0 },
    certificates: { subscribe: listener => listener(pair), ready: () => true },
    nativeSidecars: () => false,
    endpointLagMs: 0,
    registry,
    clock,
    log,
    ...more,
  })
  const ops = createOpsServer({
    listen: { host: '127.0.0.1', port: 0 },
    registry,
    ready: () => webhook.ready(),
    portTaken: 'fail',
    clock: systemClock,
    random: createRandom(1),
    log,
  })
  await ops.start()
  await webhook.start()
  t.teardown(async () => {
    const stopped = webhook.stop()
    await clock.advance(10_000)
    await stopped
    await ops.stop()
  })
  const url = `http://127.0.0.1:${ops.address()?.port ?? 0}`
  const port = webhook.address()?.port ?? 0
  return { webhook, url, port, lines, send: (body: string) => call({ port, ca, body }) }
}

const P = 'gitlab_runner_hadr_webhook'
const admission = (result: string, reason: string) => `${P}_admissions_total{result="${result}",reason="${reason}"}`

/** What `count` exchanges that took no time leave behind. */
function exchanged(outcome: string, count = 1): Record<string, number> {
  const bounds = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, '+Inf']
  return {
    [`${P}_exchanges_total{outcome="${outcome}"}`]: count,
    [`${P}_exchange_duration_seconds_count`]: count,
    ...Object.fromEntries(bounds.map(bound => [`${P}_exchange_duration_seconds_bucket{le="${bound}"}`, count])),
  }
}

/** A review as the API server would send it, with a pod's text as it is. */
function reviewOf(podText: string, request: Record<string, unknown> = {}): string {
  const { group, version, kind } = CREATE_POD
  const fields = { uid: 'uid-1', kind: { group, version, kind }, operation: 'CREATE', namespace: 'team', ...request }
  const head = JSON.stringify({ kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1', request: fields })
  return `${head.slice(0, -2)},"object":${podText}}}`
}

function podOf(name: string): string {
  const found = podCases.find(podCase => podCase.name === name)
  if (found === undefined) throw new Error(`no pod ${name}`)
  return JSON.stringify(found.pod)
}

t.test('at the start every series of every closed set is there and nothing has happened', async t => {
  const { url } = await start(t)
  const samples = await scrape(url)
  for (const reason of Object.keys(SKIP_REASONS)) t.equal(samples.get(admission('skipped', reason)), 0)
  for (const [result, reason] of [
    ['injected', 'container'],
    ['injected', 'native'],
    ['failed', 'internalError'],
  ] as const)
    t.equal(samples.get(admission(result, reason)), 0)
  const counted = [...samples].filter(([, value]) => value !== 0)
  t.strictSame(counted, [[`${P}_config_info{digest="${digestOf(sidecarConfig())}"}`, 1]])
})

t.test('an injection counts once, native or not, and leaves one line with no content of the pod', async t => {
  for (const [name, reason, native] of [
    ['raw-generate-name', 'container', false],
    ['native-by-annotation', 'native', true],
  ] as const) {
    const { url, send, lines } = await start(t, { nativeSidecars: () => native })
    const expected = { ...exchanged('answered'), [admission('injected', reason)]: 1 }
    const text = podOf(name).replace('"spec":{', '"spec":{"canary":"s3cret-canary",')
    t.strictSame(await changes(url, expected, () => send(reviewOf(text))), expected)
    const told = lines.filter(({ fields }) => 'uid' in fields)
    t.match(told, [
      {
        level: 'info',
        message: 'the pod is given its sidecar',
        fields: { uid: 'uid-1', operation: 'CREATE', namespace: 'team', pod: /\S/, result: 'injected', reason, ms: 0 },
      },
    ])
    t.notMatch(JSON.stringify(lines), 's3cret-canary')
  }
})

t.test('each reason to leave a pod as it is counts as itself and is the log’s word, too', async t => {
  const { url, send, lines } = await start(t)
  const usual = JSON.stringify(decideOptions())
  const runner = podOf('raw-minimal')
  const bodies = new Map<SkipReason, string>([
    ['notPodCreation', reviewOf(runner, { operation: 'UPDATE' })],
    ['protectedNamespace', reviewOf(runner, { namespace: 'kube-system' })],
  ])
  for (const { pod, expected, options } of podCases) {
    if ('skip' in expected && JSON.stringify(options) === usual) {
      bodies.set(expected.skip, reviewOf(JSON.stringify(pod)))
    }
  }
  t.strictSame([...bodies.keys()].toSorted(), Object.keys(SKIP_REASONS).toSorted(), 'all can be reached')
  for (const [reason, body] of bodies) {
    const expected = { ...exchanged('answered'), [admission('skipped', reason)]: 1 }
    t.strictSame(await changes(url, expected, () => send(body)), expected, reason)
    const [line] = lines.filter(({ fields }) => fields['reason'] === reason)
    t.match(line, { level: 'info', message: SKIP_REASONS[reason], fields: { result: 'skipped' } }, reason)
  }
})

t.test('what is no review counts by what was wrong with it and never as an admission', async t => {
  const { url, port, send } = await start(t)
  const cases: [string, () => Promise<{ status: number }>][] = [
    ['bad_request', () => send('{}')],
    ['bad_request', () => send('no json')],
    ['bad_request', () => send(reviewBody('u').replace('admission.k8s.io/v1', 'admission.k8s.io/v9'))],
    ['too_large', () => send('x'.repeat(7 * 1024 * 1024 + 1))],
    ['media_type', () => call({ port, ca, headers: { 'content-type': 'text/plain' }, body: reviewBody('u') })],
    ['other', () => call({ port, ca, path: '/elsewhere', body: reviewBody('u') })],
  ]
  for (const [outcome, work] of cases) {
    const expected = exchanged(outcome)
    t.strictSame(await changes(url, expected, work), expected, outcome)
  }
})

t.test('a call beyond the limit counts as overload, and what is in flight shows as it is', async t => {
  const { url, port, send } = await start(t, { limits: { requests: 1, bytes: 1e6 } })
  const socket = connect({ port, host: '127.0.0.1', ca, servername: SERVER_NAME })
  await once(socket, 'secureConnect')
  const before = await scrape(url)
  const flight = { [`${P}_in_flight_requests`]: 1, [`${P}_in_flight_bytes`]: 1000 }
  const occupied = await changes(url, flight, () => {
    socket.write('POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{')
    return Promise.resolve()
  })
  t.strictSame(occupied, flight)
  const expected = exchanged('overloaded')
  t.strictSame(await changes(url, expected, () => send(reviewBody('u'))), expected)
  const gone = { ...exchanged('aborted'), [`${P}_in_flight_requests`]: -1, [`${P}_in_flight_bytes`]: -1000 }
  t.strictSame(await changes(url, gone, () => Promise.resolve(socket.destroy())), gone)
  t.equal(before.get(`${P}_in_flight_requests`), 0)
})

t.test('a fault of ours counts as such, is an error in the log, and admits the pod', async t => {
  const sound = sidecarConfig()
  let broken = false
  const sidecar = {
    ...sound,
    get resources() {
      if (broken) throw new Error('out of luck')
      return sound.resources
    },
  }
  const { url, send, lines } = await start(t, { config: { sidecar, namespace: 'gitlab-runner-hadr' } })
  broken = true
  const expected = {
    ...exchanged('answered'),
    [admission('failed', 'internalError')]: 1,
    [`${P}_internal_errors_total`]: 1,
  }
  t.strictSame(await changes(url, expected, () => send(reviewOf(podOf('raw-minimal')))), expected)
  t.match(
    lines.filter(({ level }) => level === 'error'),
    [{ message: /internal error/, fields: { uid: 'uid-1', result: 'failed', err: { message: 'out of luck' } } }],
  )
})

t.test('a fault outside of the review is counted, too', async t => {
  const nativeSidecars = () => {
    throw new Error('out of luck')
  }
  const { url, send } = await start(t, { nativeSidecars })
  const expected = { ...exchanged('failed'), [`${P}_internal_errors_total`]: 1 }
  t.strictSame(await changes(url, expected, () => send(reviewOf(podOf('raw-minimal')))), expected)
})

t.test('a client that does not trust the certificate counts as a failed handshake', async t => {
  const { url, port } = await start(t)
  const other = await createAuthority()
  const expected = { [`${P}_tls_handshake_errors_total`]: 1 }
  const work = () => t.rejects(call({ port, ca: other.certificate, body: reviewBody('u') }))
  t.strictSame(await changes(url, expected, work), expected)
})

t.test('it is ready with a certificate that clients trust, and not before nor while it drains', async t => {
  let trust: true | string = 'no certificate yet'
  let give: (given: typeof pair) => void = () => undefined
  const registry = new Registry()
  const clock = createManualClock(Date.now())
  const webhook = createWebhook({
    config: { sidecar: sidecarConfig(), namespace: 'gitlab-runner-hadr' },
    listen: { host: '127.0.0.1', port: 0 },
    certificates: { subscribe: listener => (give = listener), ready: () => trust },
    nativeSidecars: () => false,
    registry,
    clock,
    log: silentLog,
  })
  const started = webhook.start()
  t.equal(webhook.ready(), 'no certificate yet')
  t.equal(webhook.address(), undefined, 'it does not listen without one')
  give(pair)
  await started
  t.equal(webhook.ready(), 'no certificate yet', 'served, but not trusted')
  trust = true
  t.equal(webhook.ready(), true)
  const stopped = webhook.stop()
  t.equal(webhook.ready(), 'draining')
  await clock.advance(9_000)
  const port = webhook.address()?.port ?? 0
  t.equal((await call({ port, ca, body: reviewOf(podOf('raw-minimal')) })).status, 200, 'it still answers')
  give(await createPair(authority))
  await clock.advance(10_000)
  await stopped
  t.equal(webhook.address(), undefined)
})
