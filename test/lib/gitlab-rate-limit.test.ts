import t, { type Test } from 'tap'
import { createRateGate } from '../../lib/gitlab/rate-gate.ts'
import { RUNNER_12, createClient, errorOf, sendJson, shiftableClock, startServer } from './gitlab-server.ts'

const DATE = 'Fri, 02 Jan 2026 03:04:05 GMT'
const DATE_SECONDS = Date.UTC(2026, 0, 2, 3, 4, 5) / 1_000

interface Limit {
  status?: number
  headers?: Record<string, string>
  body?: string
}

/** A client whose first answer is `limit` and whose later ones are successes; `waited` moves both of its clocks on. */
async function limited(t: Test, limit: Limit, random = 0) {
  const { status = 429, headers = {}, body = 'Retry later\n' } = limit
  const clock = shiftableClock()
  const { url, requests } = await startServer(t, (_request, response) => {
    if (requests.length > 1) sendJson(response, RUNNER_12)
    else response.writeHead(status, { 'content-type': 'text/plain', date: DATE, ...headers }).end(body)
  })
  const client = createClient(t, url, { clock, random: () => random })
  return { client, requests, waited: (ms: number) => (clock.shiftMs += ms) }
}

/** Asserts that nothing is sent for `seconds` after the limit and that the call is sent soon after. */
async function waitsFor(t: Test, limit: Limit, seconds: number): Promise<void> {
  const { client, requests, waited } = await limited(t, limit)
  const first = await errorOf(client.runner(12))
  t.equal(first.kind, 'rate_limited')
  t.equal(first.more.status, 429)
  t.equal(first.more.retryAfterMs, seconds * 1_000)

  waited(seconds * 1_000 - 2_000)
  for (const call of [client.runner(12), client.wake(12, false), client.managers(12)]) {
    const error = await errorOf(call)
    t.equal(error.kind, 'rate_limited')
    t.match(error.message, /not sent/)
    t.ok((error.more.retryAfterMs ?? 0) > 0 && (error.more.retryAfterMs ?? 0) <= 2_000)
  }
  t.equal(requests.length, 1, 'nothing is sent before the time')

  waited(2_000)
  t.equal((await client.runner(12)).id, 12)
  t.equal(requests.length, 2)
}

t.test('a throttle with Retry-After in seconds and a plain text body is obeyed', async t => {
  await waitsFor(t, { headers: { 'retry-after': '30' } }, 30)
})

t.test('a Retry-After that is a date counts from the Date of the same answer', async t => {
  await waitsFor(t, { headers: { 'retry-after': 'Fri, 02 Jan 2026 03:05:05 GMT' } }, 60)
})

t.test("a RateLimit-Reset is a time of GitLab's clock, whatever ours says", async t => {
  await waitsFor(t, { headers: { 'ratelimit-reset': String(DATE_SECONDS + 45) } }, 45)
})

t.test('a RateLimit-ResetTime is understood, and the latest of several times counts', async t => {
  const headers = {
    'retry-after': '10',
    'ratelimit-reset': String(DATE_SECONDS + 20),
    'ratelimit-resettime': 'Fri, 02 Jan 2026 03:04:35 GMT',
  }
  await waitsFor(t, { headers }, 30)
})

t.test("a gateway's RateLimit-Reset in seconds from now is not taken for the year 1970", async t => {
  await waitsFor(t, { headers: { 'ratelimit-reset': '50' } }, 50)
})

t.test("the application limiter's JSON without any header costs a minute", async t => {
  const body = '{"message":{"error":"This endpoint has been requested too many times. Try again later."}}'
  await waitsFor(t, { body }, 60)
})

t.test('headers that say nothing useful cost a minute too', async t => {
  await waitsFor(t, { headers: { 'retry-after': 'soon', 'ratelimit-reset': 'never' } }, 60)
})

t.test('a time that has passed still costs a second', async t => {
  await waitsFor(t, { headers: { 'ratelimit-reset': String(DATE_SECONDS - 100) } }, 1)
})

t.test('a time years ahead is a broken clock: a day is the most that is waited', async t => {
  await waitsFor(t, { headers: { 'ratelimit-reset': String(DATE_SECONDS + 1e8) } }, 86_400)
})

t.test('jitter only ever adds to the wait', async t => {
  const told = await limited(t, { headers: { 'retry-after': '30' } }, 0.999)
  const toldMs = (await errorOf(told.client.runner(12))).more.retryAfterMs ?? 0
  t.ok(toldMs > 30_000 && toldMs <= 31_000)
  const untold = await limited(t, {}, 0.999)
  const untoldMs = (await errorOf(untold.client.runner(12))).more.retryAfterMs ?? 0
  t.ok(untoldMs > 60_000 && untoldMs <= 90_000)
})

t.test('a shorter limit that arrives later does not shorten a longer one', t => {
  const gate = createRateGate({ clock: shiftableClock(), random: () => 0 })
  t.equal(gate.observe(429, { 'retry-after': '100' }), 100_000)
  t.equal(gate.observe(429, { 'retry-after': '5' }), 5_000)
  t.ok(gate.waitMs() > 95_000)
  t.end()
})

t.test('a success that uses up the limit closes the gate for what follows', async t => {
  const { client, requests, waited } = await limited(t, {
    status: 200,
    headers: { 'ratelimit-remaining': '0', 'ratelimit-reset': String(DATE_SECONDS + 20) },
    body: JSON.stringify(RUNNER_12),
  })
  t.equal((await client.runner(12)).id, 12)
  waited(18_000)
  t.equal((await errorOf(client.runner(12))).kind, 'rate_limited')
  t.equal(requests.length, 1)
  waited(2_000)
  t.equal((await client.runner(12)).id, 12)
})

t.test('a success with something left, or without a time, closes nothing', async t => {
  const left = { 'ratelimit-remaining': '1', 'ratelimit-reset': String(DATE_SECONDS + 20) }
  for (const headers of [left, { 'ratelimit-remaining': '0' }]) {
    const { client, requests } = await limited(t, { status: 200, headers, body: JSON.stringify(RUNNER_12) })
    await client.runner(12)
    await client.runner(12)
    t.equal(requests.length, 2)
  }
})

t.test('a read that is limited is not repeated within the call', async t => {
  const { client, requests } = await limited(t, { headers: { 'retry-after': '0' } })
  t.equal((await errorOf(client.runner(12))).kind, 'rate_limited')
  t.equal(requests.length, 1)
})

t.test('a limit that comes between a failed read and its repetition stops the repetition', async t => {
  let failRunner: () => void = () => undefined
  const { url, requests } = await startServer(t, ({ path }, response) => {
    if (path.includes('managers')) sendJson(response, {}, 429, { 'retry-after': '30' })
    else failRunner = () => sendJson(response, {}, 502)
  })
  const client = createClient(t, url)
  const read = errorOf(client.runner(12))
  await errorOf(client.managers(12))
  while (requests.length < 2) await new Promise(resolve => setImmediate(resolve))
  failRunner()
  t.equal((await read).kind, 'rate_limited')
  t.equal(requests.length, 2)
})
