import t from 'tap'
import { TransportError } from '../../lib/http/transport.ts'
import { createSimulatedTransport } from '../../simulator/gitlab/transport.ts'
import { createFurnished, startFurnished, TOKENS } from '../support/gitlab.ts'

const token = TOKENS.owner
const tag = (...tags: string[]) => ({ token, body: { tag_list: tags } })

t.test('a lost reply breaks the connection after the write was applied, a reset before', async t => {
  const { ask, faults, state } = await startFurnished(t)
  faults.add({ fault: { kind: 'reset' }, method: 'PUT', route: '/runners/:id', count: 1 })
  await t.rejects(ask('PUT', '/runners/1', tag('reset')))
  t.strictSame(state.runner(1).tags, ['runner-a', 'rnd-runner'])
  faults.add({ fault: { kind: 'lostReply' }, method: 'PUT', route: '/runners/:id', count: 1 })
  await t.rejects(ask('PUT', '/runners/1', tag('lost')))
  t.strictSame(state.runner(1).tags, ['lost'])
  t.equal(state.requests.filter(({ status }) => status === 0).length, 2)
  t.equal((await ask('PUT', '/runners/1', tag('well'))).status, 200, 'each struck once')
})

t.test('a truncated body ends before its length, a dripping one arrives whole', async t => {
  const { ask, faults, url } = await startFurnished(t)
  const stop = faults.add({ fault: { kind: 'truncated' } })
  const response = await fetch(`${url}/api/v4/runners/1`, { headers: { 'private-token': token } })
  t.equal(response.status, 200)
  await t.rejects(response.text())
  stop()
  faults.add({ fault: { kind: 'drip', chunkBytes: 100, everyMs: 1 }, count: 1 })
  t.match((await ask('GET', '/runners/1', { token })).json, { id: 1 })
})

t.test('answers from in front of Rails', async t => {
  const { ask, faults } = await startFurnished(t)
  const once = async (fault: Parameters<typeof faults.add>[0]['fault']) => {
    faults.add({ fault, count: 1 })
    return ask('GET', '/runners/1', { token })
  }
  t.match(await once({ kind: 'status', status: 502 }), { status: 502, text: /GitLab is not responding/ })
  t.match(await once({ kind: 'status', status: 503 }), { status: 503, text: /Service Temporarily Unavailable/ })
  t.match(await once({ kind: 'status', status: 409 }), { status: 409, json: { message: '409 Conflict' } })
  const throttled = await once({ kind: 'throttled', retryAfterSeconds: 7 })
  t.match(throttled, {
    status: 429,
    text: /^Retry later/,
    headers: { 'retry-after': '7', 'content-type': 'text/plain' },
  })
  t.match(throttled.headers['ratelimit-resettime'], /GMT$/)
  const limited = await once({ kind: 'limited' })
  t.match(limited, { status: 429, json: { message: { error: /^This endpoint/ } } })
  t.notOk('retry-after' in limited.headers)
  t.notOk('ratelimit-limit' in limited.headers)
})

t.test('a hang lasts until the caller gives up, an outage until it is ended', async t => {
  const { ask, faults } = await startFurnished(t)
  const heal = faults.add({ fault: { kind: 'hang' }, caller: 'token:owner' })
  // Long enough for the request to arrive on a busy machine: one given up before would leave the fault for the next.
  await t.rejects(ask('GET', '/runners/1', { token, signal: AbortSignal.timeout(500) }), { name: 'TimeoutError' })
  heal()
  const end = faults.outage()
  await t.rejects(ask('GET', '/version', { token }))
  await t.rejects(ask('POST', '/jobs/request', { body: { token: 'glrt-t2_aaaaaaaaaaaa' } }))
  end()
  t.equal((await ask('GET', '/version', { token })).status, 200)
  faults.outage({ kind: 'status', status: 503 })
  t.equal((await ask('GET', '/version', { token })).status, 503)
  faults.clear()
  t.equal((await ask('GET', '/version', { token })).status, 200)
})

t.test('rules select by method, route and caller, and strike with a probability', async t => {
  const draws = [0.9, 0.1]
  const { ask, faults } = createFurnished(t, { random: () => draws.shift() ?? 0.5 })
  draws.splice(0, draws.length, 0.9, 0.1)
  faults.add({ fault: { kind: 'status', status: 500 }, route: /^\/runners/, method: 'GET', probability: 0.5 })
  t.equal((await ask('GET', '/runners/1', { token })).status, 200)
  t.equal((await ask('GET', '/runners/1', { token })).status, 500)
  t.equal((await ask('PUT', '/runners/1', { token, body: { locked: true } })).status, 200)
  t.equal((await ask('GET', '/groups/33', { token })).status, 200)
  faults.clear()
  faults.add({ fault: { kind: 'status', status: 500 }, caller: 'runner:1' })
  t.equal((await ask('POST', '/jobs/request', { body: { token: 'glrt-t2_aaaaaaaaaaaa' } })).status, 500)
  t.equal((await ask('GET', '/runners/1', { token })).status, 200)
})

t.test('a throttled token gets plain text with headers until the window ends; others are served', async t => {
  const { ask, clock, state } = createFurnished(t)
  state.throttle({ requests: 2, periodSeconds: 60 })
  await clock.advance(10_000)
  const ask1 = () => ask('GET', '/runners/1', { token })
  t.equal((await ask1()).status, 200)
  t.equal((await ask1()).status, 200)
  const refused = await ask1()
  t.equal(refused.text, 'Retry later\n')
  t.match(refused, {
    status: 429,
    headers: {
      'retry-after': '50',
      'ratelimit-limit': '2',
      'ratelimit-observed': '3',
      'ratelimit-remaining': '0',
      'ratelimit-reset': String(Date.UTC(2026, 0, 1, 0, 1) / 1000),
    },
  })
  t.equal((await ask('GET', '/runners/1', { token: TOKENS.maintainer })).status, 200)
  await clock.advance(50_000)
  t.equal((await ask1()).status, 200)
})

t.test('a slow request is carried out although its caller gave up: a late write', async t => {
  const { clock, core, faults, state } = createFurnished(t)
  const transport = createSimulatedTransport(core, { clock, latencyMs: () => 20 })
  const send = (signal: AbortSignal) =>
    transport({
      method: 'PUT',
      url: 'https://gitlab.example/api/v4/runners/1',
      headers: { 'PRIVATE-TOKEN': token, 'Content-Type': 'application/json' },
      body: '{"tag_list":["late"]}',
      signal,
      maxResponseBytes: 10_000,
    })
  faults.add({ fault: { kind: 'slow', delayMs: 60_000 }, count: 1 })
  const deadline = new AbortController()
  const call = t.rejects(send(deadline.signal), /too late/)
  await clock.advance(10_000)
  deadline.abort(new Error('too late'))
  await call
  t.strictSame(state.runner(1).tags, ['runner-a', 'rnd-runner'])
  await clock.advance(60_000)
  t.strictSame(state.runner(1).tags, ['late'])
})

t.test('the transport without sockets answers, breaks and bounds as the contract says', async t => {
  const { clock, core, faults } = createFurnished(t)
  const transport = createSimulatedTransport(core, { clock })
  const get = (maxResponseBytes = 10_000) =>
    transport({
      method: 'GET',
      url: 'https://gitlab.example/api/v4/runners/1?include_projects=false',
      headers: { 'PRIVATE-TOKEN': token },
      signal: new AbortController().signal,
      maxResponseBytes,
    })
  t.match(await get(), { status: 200, headers: { date: 'Thu, 01 Jan 2026 00:00:00 GMT' } })
  await t.rejects(get(10), { name: 'TransportError', kind: 'too_large' })
  for (const kind of ['reset', 'lostReply', 'truncated'] as const) {
    faults.add({ fault: { kind }, count: 1 })
    await t.rejects(get(), new TransportError('network', 'connection reset'))
  }
})
