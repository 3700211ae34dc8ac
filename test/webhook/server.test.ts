import { once } from 'node:events'
import { Agent } from 'node:https'
import { connect, type SecureVersion } from 'node:tls'
import t from 'tap'
import {
  admit,
  call,
  createAuthority,
  createPair,
  reviewBody,
  SERVER_NAME,
  startWebhook,
  type Call,
} from '../support/webhook.ts'

const authority = await createAuthority()
const pair = await createPair(authority)
const ca = authority.certificate
const MIB = 1024 * 1024

t.test('a review is answered on its path, whatever the query, over HTTP/1.1 with kept connections', async t => {
  const { port, exchanges, server } = await startWebhook(t, pair, admit)
  t.equal(server.ready(), true)
  const { status, headers, text } = await call({ port, ca, body: reviewBody('u1') })
  t.equal(status, 200)
  t.match(headers['content-type'], /^application\/json/)
  t.strictSame(JSON.parse(text), { response: { uid: 'u1', allowed: true } })
  t.match(exchanges, [{ outcome: 'answered', durationMs: Number, result: { answer: { response: { uid: 'u1' } } } }])
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  for (const uid of ['k1', 'k2', 'k3']) t.equal((await call({ port, ca, agent, body: reviewBody(uid) })).status, 200)
  t.equal(Object.values(agent.freeSockets).flat().length, 1, 'the connection is kept')
  const charset = { 'content-type': 'application/json; charset=utf-8' }
  t.equal((await call({ port, ca, path: '/mutate', headers: charset, body: reviewBody('u2') })).status, 200)
})

t.test('what is no review gets the status that says so, and nothing breaks', async t => {
  const { port, exchanges } = await startWebhook(t, pair, admit)
  const json = { 'content-type': 'application/json' }
  const brackets = (count: number) => '['.repeat(count) + ']'.repeat(count)
  const cases: [string, Partial<Call>, number, string][] = [
    ['text', { headers: { 'content-type': 'text/plain' }, body: reviewBody('u') }, 415, 'media_type'],
    ['YAML', { headers: { 'content-type': 'application/yaml' }, body: 'kind: AdmissionReview' }, 415, 'media_type'],
    ['a content type that is none', { headers: { 'content-type': 'json' }, body: reviewBody('u') }, 415, 'media_type'],
    ['no content type', { headers: {}, body: reviewBody('u') }, 415, 'media_type'],
    ['an empty body', { body: '' }, 400, 'bad_request'],
    ['no body at all', { headers: {} }, 400, 'bad_request'],
    ['half a review', { body: reviewBody('u').slice(0, 40) }, 400, 'bad_request'],
    ['text after the JSON', { body: `${reviewBody('u')} x` }, 400, 'bad_request'],
    ['null', { body: 'null' }, 400, 'bad_request'],
    ['a number', { body: '7' }, 400, 'bad_request'],
    ['a list', { body: '[]' }, 400, 'bad_request'],
    ['no request', { body: '{}' }, 400, 'bad_request'],
    ['a null request', { body: '{"request":null}' }, 400, 'bad_request'],
    ['a uid that is no text', { body: '{"request":{"uid":7}}' }, 400, 'bad_request'],
    ['bytes that are no UTF-8', { body: Buffer.from(reviewBody('\u00e9'), 'latin1') }, 400, 'bad_request'],
    ['UTF-16', { body: Buffer.from(reviewBody('u'), 'utf16le') }, 400, 'bad_request'],
    [
      'a gzipped body',
      { headers: { ...json, 'content-encoding': 'gzip' }, body: Buffer.from([0x1f, 0x8b, 8, 0, 0]) },
      400,
      'bad_request',
    ],
    ['7 MiB of brackets', { body: brackets(3.5 * MIB) }, 400, 'bad_request'],
    ['more than 7 MiB', { body: reviewBody('u', { pad: 'x'.repeat(7 * MIB) }) }, 413, 'too_large'],
    [
      'more than 7 MiB in chunks',
      { headers: { ...json, 'transfer-encoding': 'chunked' }, body: 'x'.repeat(7 * MIB + 1) },
      413,
      'too_large',
    ],
    ['another path', { path: '/', body: reviewBody('u') }, 404, 'other'],
    ['a GET', { method: 'GET', headers: {} }, 404, 'other'],
  ]
  for (const [title, request, status, outcome] of cases) {
    const before = exchanges.length
    const answer = await call({ port, ca, ...request })
    t.equal(answer.status, status, title)
    t.type((JSON.parse(answer.text) as { error?: string }).error, 'string', title)
    while (exchanges.length === before) await new Promise(resolve => setImmediate(resolve))
    t.equal(exchanges.at(-1)?.outcome, outcome, title)
  }
  t.equal((await call({ port, ca, body: reviewBody('still here') })).status, 200)
})

t.test('odd but good reviews reach the handler whole', async t => {
  const seen: unknown[] = []
  const { port } = await startWebhook(t, pair, body => {
    seen.push(body)
    return admit(body)
  })
  const deep = '['.repeat(30_000) + ']'.repeat(30_000)
  const cases: [string, string][] = [
    [
      'keys like __proto__',
      '{"__proto__":{"x":1},"request":{"uid":"u","object":{"constructor":{"prototype":{"y":1}}}}}',
    ],
    ['null objects', '{"request":{"uid":"u","object":null,"oldObject":null,"options":null}}'],
    ['deep nesting', `{"request":{"uid":"u","object":${deep}}}`],
    ['a BOM', `\ufeff${reviewBody('u')}`],
    ['6 MiB', reviewBody('u', { pad: 'é"\\['.repeat(0.85 * MIB) })],
    ['a newline at its end', `${reviewBody('u')}\n`],
  ]
  for (const [title, body] of cases) {
    const answer = await call({ port, ca, body })
    t.strictSame([answer.status, answer.text], [200, '{"response":{"uid":"u","allowed":true}}'], title)
  }
  t.ok(Object.hasOwn(seen[0] as object, '__proto__'))
  t.equal(Object.getPrototypeOf(seen[0]), Object.prototype)
  t.equal(({} as { x?: unknown }).x, undefined)
})

t.test('a fault of ours admits the pod with the request’s uid, a warning and no patch', async t => {
  const faults: [string, () => never][] = [
    [
      'an error',
      () => {
        throw new TypeError('boom')
      },
    ],
    [
      'a stack that overflows',
      () => {
        const dive = (): never => dive()
        return dive()
      },
    ],
    [
      'nothing',
      () => {
        throw undefined as unknown as Error
      },
    ],
  ]
  for (const [title, fault] of faults) {
    const { port, exchanges } = await startWebhook(t, pair, fault)
    const { status, text } = await call({ port, ca, body: reviewBody('u9') })
    t.equal(status, 200, title)
    t.strictSame(JSON.parse(text), {
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      response: {
        uid: 'u9',
        allowed: true,
        warnings: ['gitlab-runner-hadr: no sidecar: an internal error of the webhook'],
      },
    })
    t.match(exchanges, [{ outcome: 'failed', result: undefined }], title)
    t.equal((await call({ port, ca, body: '{}' })).status, 400, 'without a uid there is nothing to answer to')
  }
})

t.test('an answer that cannot be written as JSON admits the pod, and so does a hook that throws', async t => {
  const circular: Record<string, unknown> = {}
  circular['self'] = circular
  const review = () => ({ answer: { response: { uid: 'u', allowed: true as const }, circular } })
  const onExchange = () => {
    throw new Error('no metrics today')
  }
  const { port } = await startWebhook(t, pair, review, { onExchange })
  const { status, text } = await call({ port, ca, body: reviewBody('u') })
  t.equal(status, 200)
  t.match(JSON.parse(text), { response: { uid: 'u', allowed: true } })
})

t.test('overload answers 503 with Retry-After, and what is under way is still answered', async t => {
  const { port, exchanges } = await startWebhook(t, pair, admit, { limits: { requests: 2, bytes: 10 * MIB } })
  const body = reviewBody('slow')
  const head = `POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`
  const slow = await Promise.all([1, 2].map(() => openSocket(port)))
  for (const socket of slow) socket.write(head + body.slice(0, 10))
  let answer = await call({ port, ca, body: reviewBody('u') })
  while (answer.status === 200) answer = await call({ port, ca, body: reviewBody('u') })
  t.equal(answer.status, 503)
  t.equal(answer.headers['retry-after'], '1')
  for (const socket of slow) {
    const answered = once(socket, 'data')
    socket.write(body.slice(10))
    t.match(String((await answered)[0]), /^HTTP\/1\.1 200 /)
  }
  t.equal((await call({ port, ca, body: reviewBody('u') })).status, 200)
  t.ok(exchanges.some(({ outcome }) => outcome === 'overloaded'))
  for (const socket of slow) socket.destroy()

  const leaver = await openSocket(port)
  leaver.write(head)
  leaver.end()
  while (!exchanges.some(({ outcome }) => outcome === 'aborted')) await new Promise(resolve => setImmediate(resolve))
  t.equal((await call({ port, ca, body: reviewBody('u') })).status, 200, 'who leaves early leaves the place free')
})

t.test('too many bytes at once are refused before they are read', async t => {
  const { port } = await startWebhook(t, pair, admit, { limits: { requests: 100, bytes: MIB } })
  const socket = await openSocket(port)
  socket.write(`POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${MIB}\r\n\r\n`)
  let answer = await call({ port, ca, body: reviewBody('u') })
  while (answer.status === 200) answer = await call({ port, ca, body: reviewBody('u') })
  t.equal(answer.status, 503)
  socket.destroy()
})

t.test('TLS below 1.2 is refused, 1.2 and 1.3 are served', async t => {
  const { port, failedHandshakes } = await startWebhook(t, pair, admit)
  const shake = (version: SecureVersion) =>
    new Promise<string>(resolve => {
      const options = { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' }
      const socket = connect({ port, host: '127.0.0.1', ca, servername: SERVER_NAME, ...options })
      socket.on('secureConnect', () => {
        resolve(socket.getProtocol() ?? '')
        socket.destroy()
      })
      socket.on('error', () => resolve('refused'))
    })
  t.strictSame(await Promise.all((['TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const).map(shake)), [
    'refused',
    'TLSv1.2',
    'TLSv1.3',
  ])
  t.equal(failedHandshakes.count, 1)
})

t.test('a server does not start with a pair that does not verify', async t => {
  const other = await createPair(authority)
  await t.rejects(startWebhook(t, { ...pair, key: other.key }, admit), /the private key does not belong/)
})

t.test('a server on a taken port fails to start and says so', async t => {
  const { port } = await startWebhook(t, pair, admit)
  await t.rejects(startWebhook(t, pair, admit, { listen: { host: '127.0.0.1', port } }), { code: 'EADDRINUSE' })
})

t.test('without a host it listens on every address', async t => {
  const { port } = await startWebhook(t, pair, admit, { listen: { port: 0 } })
  t.equal((await call({ port, ca, body: reviewBody('u') })).status, 200)
})

async function openSocket(port: number) {
  const socket = connect({ port, host: '127.0.0.1', ca, servername: SERVER_NAME })
  socket.on('error', () => undefined)
  await once(socket, 'secureConnect')
  return socket
}
