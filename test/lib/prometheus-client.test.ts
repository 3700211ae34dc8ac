import t from 'tap'
import { createPrometheusClient } from '../../lib/prometheus/client.ts'
import { systemClock } from '../../lib/service/clock.ts'
import { answerJson, plainTransport, startServer } from '../support/http.ts'
import { requirePrometheus, startPrometheus } from '../support/prometheus.ts'

const transport = plainTransport
const clock = systemClock
const vector = { status: 'success', data: { resultType: 'vector', result: [{ metric: {}, value: [1, '4'] }] } }

t.test('a query is posted as a form below the path of the base URL, with a timeout below the deadline', async t => {
  let seen: object = {}
  const url = await startServer(t, (request, response, body) => {
    const { method, url, headers } = request
    seen = { method, url, type: headers['content-type'], tenant: headers['x-scope-orgid'], form: parseForm(body) }
    answerJson(200, vector)(request, response)
  })
  const headers = { 'x-scope-orgid': 'ci' }
  for (const base of [`${url}/prometheus`, `${url}/prometheus/`]) {
    const client = createPrometheusClient({ url: base, transport, clock, headers, deadlineMs: 2_000 })
    t.match(await client.instant('up{job=~"a+b"} == 1 &'), { kind: 'complete', samples: [{ value: 4 }] })
    t.strictSame(seen, {
      method: 'POST',
      url: '/prometheus/api/v1/query',
      type: 'application/x-www-form-urlencoded',
      tenant: 'ci',
      form: { query: 'up{job=~"a+b"} == 1 &', timeout: '1600ms' },
    })
  }
  const client = createPrometheusClient({ url, transport, clock })
  t.match(await client.range('up', { startMs: 1500, endMs: 61_500, stepMs: 250 }), { kind: 'invalid_answer' })
  t.match(seen, {
    url: '/api/v1/query_range',
    form: { start: '1.500', end: '61.500', step: '0.250', timeout: '4000ms' },
  })
})

t.test('a server that does not answer in time is unavailable', async t => {
  const url = await startServer(t, () => undefined)
  const client = createPrometheusClient({ url, transport, clock, deadlineMs: 50 })
  t.strictSame(await client.instant('up'), { kind: 'unavailable', message: 'no answer within 50 ms' })
})

t.test('a server that stops in the middle of its answer is unavailable', async t => {
  const url = await startServer(t, (_request, response) => {
    response.writeHead(200, { 'content-length': '100' }).write('{')
    response.flushHeaders()
  })
  const client = createPrometheusClient({ url, transport, clock, deadlineMs: 100 })
  t.match(await client.instant('up'), { kind: 'unavailable' })
  const cut = await startServer(t, (_request, response) => {
    response.writeHead(200, { 'content-length': '100' }).write('{', () => response.destroy())
  })
  t.match(await createPrometheusClient({ url: cut, transport, clock }).instant('up'), { kind: 'unavailable' })
})

t.test('no server is unavailable', async t => {
  const client = createPrometheusClient({ url: 'http://127.0.0.1:1', transport, clock })
  t.match(await client.instant('up'), { kind: 'unavailable' })
})

t.test('an answer beyond the limit is invalid, and is not read to its end', async t => {
  const url = await startServer(t, (_request, response) => response.end('x'.repeat(5_000)))
  const client = createPrometheusClient({ url, transport, clock, maxResponseBytes: 1_000 })
  t.match(await client.instant('up'), { kind: 'invalid_answer', message: /1000 bytes/ })
})

t.test("only the caller's own abort rejects, with the caller's reason", async t => {
  const url = await startServer(t, () => undefined)
  const client = createPrometheusClient({ url, transport, clock })
  const stop = new AbortController()
  const query = client.instant('up', stop.signal)
  stop.abort(new Error('shutting down'))
  await t.rejects(query, { message: 'shutting down' })
})

t.test('a URL that cannot be the base of the API is refused at once, without repeating it', t => {
  for (const url of [
    '',
    'prometheus:9090',
    'ftp://host',
    'http://me:secret@host',
    'http://host/?a=secret',
    'http://host/#secret',
  ]) {
    const create = () => createPrometheusClient({ url, transport, clock })
    t.throws(create, { name: 'TypeError', message: /^(?!.*secret).*URL of Prometheus/ }, url)
  }
  t.end()
})

t.test('a real Prometheus', async t => {
  if (!(await requirePrometheus(t))) return
  const target = await startServer(t, (_request, response) => response.end('a_value{x="1"} 3\na_value{x="2"} NaN\n'))
  const { url } = await startPrometheus(t, {
    scrapeIntervalMs: 200,
    scrapeConfigs: `[{ job_name: a, static_configs: [{ targets: ['${new URL(target).host}'] }] }]`,
  })
  const client = createPrometheusClient({ url, transport, clock })

  t.match(await client.instant('nothing_has_this_name'), { kind: 'empty' })
  t.match(await client.instant('sum(up'), { kind: 'bad_query', status: 400, message: /parse error/ })
  t.match(await client.instant('"text"'), { kind: 'invalid_answer' })
  t.match(await client.instant('1 / 0'), { kind: 'complete', samples: [{ value: undefined, raw: '+Inf' }] })
  t.match(await client.instant('vector(2.5)'), { kind: 'complete', samples: [{ value: 2.5, labels: {} }] })
  t.match(await client.range('up', { startMs: 2, endMs: 1, stepMs: 1 }), { kind: 'bad_query' })

  let result = await client.instant('a_value')
  while (result.kind === 'empty') {
    await clock.sleep(50)
    result = await client.instant('a_value')
  }
  t.match(result, {
    kind: 'complete',
    samples: [
      { labels: { __name__: 'a_value', x: '1', job: 'a' }, value: 3 },
      { labels: { x: '2' }, value: undefined, raw: 'NaN' },
    ],
  })
  const doubled = await client.instant('label_replace(up, "x", "$1", "job", "(.*)") * on(job) up * on(job) a_value')
  t.match(doubled, { kind: 'bad_query', status: 422 })
  const now = clock.wallMs()
  t.match(await client.range('a_value{x="1"}', { startMs: now - 1_000, endMs: now, stepMs: 100 }), {
    kind: 'complete',
    series: [{ labels: { x: '1' } }],
  })
  const aged = await client.instant('timestamp(a_value{x="1"})')
  const [evaluatedAtMs, seconds] = aged.kind === 'complete' ? [aged.evaluatedAtMs, aged.samples[0]?.value] : []
  const ageMs = (evaluatedAtMs ?? NaN) - (seconds ?? NaN) * 1000
  t.ok(ageMs >= 0 && ageMs < 5_000, `${ageMs} ms`)
})

function parseForm(body: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(body))
}
