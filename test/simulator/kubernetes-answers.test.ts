import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { warningHeader } from '../../simulator/kubernetes/answers.ts'
import { createKubernetes } from '../../simulator/kubernetes/core.ts'
import { createTestAuthority } from '../support/authority.ts'
import { comparable, readRecordings, type Body } from '../support/recordings.ts'
import { startWebhook } from '../support/webhook-server.ts'

interface Row {
  case: string
  endpoint: string
  failurePolicy: 'Ignore' | 'Fail'
  webhookCalls: number
  answer: {
    status?: number
    contentType?: string
    contentEncoding?: string
    headers?: Record<string, string>
    bodyText?: string
    connection?: string
    delayMs?: number
  }
  result: {
    status: number
    warnings: string[]
    containers?: string[]
    initContainers?: string[]
    labels?: Body
    annotations?: Body
    body?: Body
  }
  auditAnnotations: Record<string, string>
}

const rows = readRecordings('webhook-answers.jsonl') as Row[]

/** The recording cut these bodies short. */
const MANY_WARNINGS = Array.from({ length: 20 }, (_, at) => String(at).padStart(2, '0').padEnd(250, 'e'))
const ADD_SIDECAR = {
  op: 'add',
  path: '/spec/containers/-',
  value: { name: 'gitlab-runner-hadr', image: 'registry.example.com/gitlab-runner-hadr:1.0.0' },
}
const MANY_OPERATIONS = Array.from({ length: 10_001 }, (_, at) => ({
  op: 'add',
  path: `/metadata/labels/l${at % 5}`,
  value: String(at),
}))

function bodyText(row: Row, uid: string): string {
  if (row.case === 'patch-10000-ops' || row.case === 'warning-20-of-250') {
    const many = row.case === 'patch-10000-ops'
    const patch = Buffer.from(JSON.stringify(many ? MANY_OPERATIONS : [ADD_SIDECAR])).toString('base64')
    const warnings = many ? [] : MANY_WARNINGS
    const response = { uid, allowed: true, patchType: 'JSONPatch', patch, warnings }
    return JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response })
  }
  return (row.answer.bodyText ?? '').replaceAll(
    '<uid of the request>',
    row.case === 'uid-upper-case' ? uid.toUpperCase() : uid,
  )
}

/** Answers as the recording says the webhook did. */
function answerAs(
  row: Row,
  call: number,
  origin: string,
  request: IncomingMessage,
  response: ServerResponse,
  body: string,
): void {
  if (request.url?.includes('/again')) {
    response.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' }))
    return
  }
  const { uid } = (JSON.parse(body) as { request: { uid: string } }).request
  const first = /^http-(\d+)-retry-after-(\d+)-then-good$/.exec(row.case)
  if (first && call === 1) {
    response.writeHead(Number(first[1]), { 'retry-after': String(first[2]) }).end('not yet')
    return
  }
  const { status = 200, contentType, contentEncoding, headers = {}, connection, delayMs } = row.answer
  const text = Buffer.from(bodyText(row, uid))
  const content = contentEncoding === 'gzip' ? gzipSync(text) : text
  const location = headers['location']?.replace('https://webhook.example:8443', origin)
  const head = {
    ...headers,
    ...(contentType !== undefined && { 'content-type': contentType }),
    ...(contentEncoding !== undefined && { 'content-encoding': contentEncoding }),
    ...(location !== undefined && { location }),
  }
  switch (connection) {
    case undefined:
      setTimeout(() => response.writeHead(status, head).end(content), delayMs ?? 0)
      break
    case 'reset (RST) before any byte':
      // Node cannot reset below TLS from here; the closing alert makes it an end of file.
      request.socket.destroy()
      break
    case 'closed (FIN) before any byte':
      request.socket.end()
      break
    case 'half of the body, then reset':
      response.writeHead(200, { ...head, 'content-length': content.length })
      response.write(content.subarray(0, content.length / 2), () => setTimeout(() => request.socket.destroy(), 20))
      break
    default:
      response.writeHead(200, { ...head, 'content-length': content.length })
      response.flushHeaders()
      setTimeout(() => response.end(content), 3000).unref()
  }
}

const RESULTS_DIFFER: Readonly<Record<string, RegExp>> = {
  // Both are a broken connection; the words depend on whether a reset or an end arrives first.
  'reset-before-answer': /(connection reset by peer|EOF)$/,
}

function podFor(row: Row, name: string): Body {
  return {
    metadata: { name, labels: { app: 'gitlab-runner' } },
    spec: {
      ...(row.case === 'native-sidecar-in-never-pod' && { restartPolicy: 'Never' }),
      containers: [
        {
          name: 'gitlab-runner',
          image: 'registry.example.com/app:1',
          ports: [{ name: 'metrics', containerPort: 9252 }],
        },
      ],
    },
  }
}

/** Ports, row numbers and addresses of this run; a recording's pod names. */
function neutral(value: unknown): unknown {
  const text = JSON.stringify(comparable(value) ?? null)
    .replace(/localhost:\d+/g, 'webhook.example:8443')
    .replace(/8443\/\d+\//g, '8443/')
    .replace(/dial tcp \S+: connect/g, 'dial tcp <addr>: connect')
    .replace(/read tcp \S+: read/g, 'read')
    .replace(/b\d+-(ignore|fail)/g, 'pod')
    .replace(/Original error: context deadline exceeded.*?"/g, 'Original error: context deadline exceeded"')
  return JSON.parse(text) as unknown
}

const authority = createTestAuthority('test authority')
const stranger = createTestAuthority('another authority')
const HOUR_MS = 3_600_000
const leaves = {
  main: authority.issue({ names: ['localhost'] }),
  wrongname: authority.issue({ names: ['other.example.svc'] }),
  expired: authority.issue({
    names: ['localhost'],
    fromMs: Date.now() - 48 * HOUR_MS,
    untilMs: Date.now() - 24 * HOUR_MS,
  }),
  notyet: authority.issue({ names: ['localhost'], fromMs: Date.now() + HOUR_MS, untilMs: Date.now() + 48 * HOUR_MS }),
  nosan: authority.issue({}),
  wrongca: stranger.issue({ names: ['localhost'] }),
}

const base64 = (text: string) => Buffer.from(text).toString('base64')

async function startEndpoints(
  t: Test,
  answer: (request: IncomingMessage, response: ServerResponse, body: string) => void,
) {
  const ports: Record<string, number> = {}
  for (const [name, leaf] of Object.entries(leaves)) ports[name] = (await startWebhook(t, leaf, answer)).port
  const plain = createServer((_request, response) => response.end('hello'))
  await new Promise<void>(resolve => plain.listen(0, '127.0.0.1', resolve))
  t.teardown(() => plain.close())
  ports['plainhttp'] = (plain.address() as AddressInfo).port
  ports['nocabundle'] = ports['main'] ?? 0
  // A port of the reserved range: nobody listens there.
  ports['refused'] = 1
  return ports
}

void t.test('every recorded answer of a webhook has the recorded effect on the pod', { timeout: 50_000 }, async t => {
  const calls = new Map<number, number>()
  const ports = await startEndpoints(t, (request, response, body) => {
    const index = Number(/^\/(\d+)\//.exec(request.url ?? '')?.[1])
    const row = rows[index]
    const call = (calls.get(index) ?? 0) + 1
    calls.set(index, call)
    if (row) answerAs(row, call, `https://localhost:${ports['main'] ?? 0}/${index}`, request, response, body)
  })

  const play = async (row: Row, index: number) => {
    const core = createKubernetes()
    core.state.addNamespace('team-runners')
    const policy = row.failurePolicy
    const path = `/${index}/${policy}`
    const caBundle = base64(authority.certPem)
    const clientConfig =
      row.endpoint === 'noservice'
        ? { service: { name: 'no-such-service', namespace: 'gitlab-runner-hadr', port: 443, path: '/x' } }
        : {
            url: `https://localhost:${ports[row.endpoint] ?? 0}${path}`,
            ...(row.endpoint !== 'nocabundle' && { caBundle }),
          }
    const webhook = {
      name: `${policy.toLowerCase()}.${row.endpoint}.gitlab-runner-hadr.io`,
      clientConfig,
      failurePolicy: policy,
      sideEffects: 'None',
      timeoutSeconds: 2,
      admissionReviewVersions: ['v1'],
      rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }],
    }
    core.state.put('webhookConfigurations', { metadata: { name: 'answers' }, webhooks: [webhook] })
    if (row.case === 'result-changes-name' && policy === 'Fail') {
      core.state.put('pods', { metadata: { name: 'renamed', namespace: 'team-runners' } })
    }
    const answer = await core.handle({
      method: 'POST',
      path: '/api/v1/namespaces/team-runners/pods',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(podFor(row, `b${index}-${policy.toLowerCase()}`)),
    })
    core.close()
    return { answer, audit: core.state.audits[0]?.annotations ?? {} }
  }

  // Some rows wait for seconds and none depends on another; too many handshakes at once would pass their deadlines.
  const played: Awaited<ReturnType<typeof play>>[] = []
  let next = 0
  const worker = async () => {
    for (let index = next++; index < rows.length; index = next++) {
      const row = rows[index]
      if (row) played[index] = await play(row, index)
    }
  }
  await Promise.all(Array.from({ length: 8 }, worker))
  for (const [index, row] of rows.entries()) {
    const outcome = played[index]
    if (!outcome) throw new Error(`${row.case} was not played`)
    const { answer, audit } = outcome
    await t.test(`${row.case}, ${row.endpoint}, ${row.failurePolicy}`, t => {
      const { result } = row
      const body = JSON.parse(answer.body) as Body
      t.equal(answer.status, result.status)
      t.equal(calls.get(index) ?? 0, row.webhookCalls, 'calls of the webhook')
      t.same((answer.warnings ?? []).map(warningHeader), result.warnings)
      const differs = RESULTS_DIFFER[row.case]
      if (result.body && differs) t.match(body['message'], differs)
      else if (result.body) t.same(neutral(body), neutral(result.body))
      else comparePod(t, body, row)
      t.same(auditOf(audit), auditOf(row.auditAnnotations), 'audit annotations')
      t.end()
    })
  }
})

function comparePod(t: Test, pod: Body, { result }: Row): void {
  const { labels = {}, annotations } = pod['metadata'] as { labels?: Body; annotations?: Body }
  const { containers, initContainers = [] } = pod['spec'] as { containers: Body[]; initContainers?: Body[] }
  const others = Object.fromEntries(Object.entries(labels).filter(([name]) => name !== 'app'))
  t.same(
    containers.map(({ name }) => name),
    result.containers,
  )
  t.same(
    initContainers.map(({ name }) => name),
    result.initContainers,
  )
  t.same(others, result.labels)
  if (result.annotations) t.same(annotations, result.annotations)
}

/** Those that webhooks cause; the index counts all webhooks of the recorded configuration, of which there is one here. */
function auditOf(annotations: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(annotations)
      .filter(
        ([key]) =>
          !/^(authorization|pod-security|apiserver\.latency)/.test(key) &&
          !/\.k8s\.io\/(authentication|authorization)/.test(key),
      )
      .filter(([key]) => !/^(patch\.|missing-san\.)/.test(key))
      .map(([key, value]) => [key.replace(/_index_\d+$/, ''), value]),
  )
}
