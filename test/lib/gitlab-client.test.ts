import { inspect } from 'node:util'
import t from 'tap'
import { createGitLabClient } from '../../lib/gitlab/client.ts'
import { ENDPOINTS } from '../../lib/gitlab/endpoints.ts'
import { systemClock } from '../../lib/service/clock.ts'
import { RUNNER_12, TOKEN, createClient, errorOf, sendJson, shiftableClock, startServer } from './gitlab-server.ts'

t.test('a runner is read with the token in its own header and reduced to what is used', async t => {
  const { url, requests } = await startServer(t, (_request, response) => sendJson(response, RUNNER_12))
  t.same(await createClient(t, url).runner(12), {
    id: 12,
    description: 'runner a',
    paused: false,
    online: true,
    tags: ['runner-a', 'main'],
    locked: false,
    contactedAtMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  })
  t.match(requests, [{ method: 'GET', path: '/api/v4/runners/12?include_projects=false' }])
  t.equal(requests[0]?.headers['private-token'], TOKEN)
})

t.test('a runner that never made contact has neither a time nor an online state', async t => {
  const { url } = await startServer(t, (_request, response) =>
    sendJson(response, { ...RUNNER_12, online: null, contacted_at: null, description: null }),
  )
  t.match(await createClient(t, url).runner(12), { online: null, contactedAtMs: null, description: null })
})

t.test('the URL may be the root, the API or below a path, with or without slashes', async t => {
  const { url, requests } = await startServer(t, (_request, response) => sendJson(response, RUNNER_12))
  for (const suffix of ['', '/', '/api/v4', '/api/v4/', '/gitlab', '/gitlab//', '/gitlab/api/v4']) {
    await createClient(t, url + suffix).runner(12)
  }
  const expected = ['', '', '', '', '/gitlab', '/gitlab', '/gitlab']
  t.same(
    requests.map(({ path }) => path),
    expected.map(root => `${root}/api/v4/runners/12?include_projects=false`),
  )
})

t.test('a URL that cannot be right is refused when the client is made, without repeating a password', t => {
  const make = (url: string) => () =>
    createGitLabClient({
      url,
      transport: () => Promise.reject(new Error('never called')),
      token: () => Promise.resolve(TOKEN),
      clock: systemClock,
      random: () => 0,
    })
  t.throws(make('gitlab.example.com'), /must be absolute/)
  t.throws(make('ftp://gitlab.example.com'), /https:\/\//)
  t.throws(make('https://gitlab.example.com/?private_token=x'), /no query/)
  t.throws(make('https://bot:hunter2@gitlab.example.com'), {
    message: 'the GitLab URL of gitlab.example.com holds credentials: remove them and configure a token instead',
  })
  t.end()
})

t.test('the token is asked for before every call, and a call without one is not sent', async t => {
  const tokens = ['first', ' second\n', undefined, '', 'bad token']
  const { url, requests } = await startServer(t, (_request, response) => sendJson(response, RUNNER_12))
  const client = createClient(t, url, { token: () => Promise.resolve(tokens.shift()) })
  await client.runner(12)
  await client.runner(12)
  t.match(await errorOf(client.runner(12)), { kind: 'unauthorized', message: /no token/, ambiguous: false })
  t.match(await errorOf(client.runner(12)), { kind: 'unauthorized', message: /no token/ })
  t.match(await errorOf(client.runner(12)), { kind: 'unauthorized', message: /characters/ })
  t.same(
    requests.map(({ headers }) => headers['private-token']),
    ['first', 'second'],
  )
})

t.test('a token that cannot be read is an unauthorized call, and one that never comes meets the deadline', async t => {
  const { url, requests } = await startServer(t, (_request, response) => sendJson(response, RUNNER_12))
  const broken = createClient(t, url, { token: () => Promise.reject(new Error('EACCES')) })
  t.match(await errorOf(broken.runner(12)), { kind: 'unauthorized', message: /cannot be read/ })
  const hanging = createClient(t, url, { token: () => new Promise(() => undefined), deadlineMs: 30 })
  t.match(await errorOf(hanging.runner(12)), { kind: 'unavailable', message: /30 ms/ })
  t.equal(requests.length, 0)
})

const FAILURES = [
  [401, { message: '401 Unauthorized' }, 'unauthorized', /401 Unauthorized.*renew/],
  [401, { error: 'invalid_token', error_description: 'Token was revoked.' }, 'unauthorized', /Token was revoked/],
  [403, { message: '403 Forbidden - No access granted' }, 'forbidden', /No access granted.*role/],
  [
    403,
    { error: 'insufficient_scope', error_description: 'The request requires higher privileges', scope: 'api' },
    'forbidden',
    /insufficient_scope.*scopes: api.*missing scope/,
  ],
  [404, { message: '404 Runner Not Found' }, 'not_found', /404 Runner Not Found.*may not see it/],
  [409, { message: '409 Conflict' }, 'conflict', /409 Conflict/],
  [400, { message: { tags_list: ['can not be empty'] } }, 'refused', /400 tags_list can not be empty/],
  [400, { error: 'tag_list is invalid' }, 'refused', /tag_list is invalid/],
  [422, { message: 'Unprocessable' }, 'refused', /Unprocessable/],
  [410, { message: '410 Gone' }, 'refused', /410 Gone/],
  [405, { error: '405 Not Allowed' }, 'refused', /405 Not Allowed/],
  [500, { message: '500 Internal Server Error' }, 'unavailable', /500 Internal/],
  [503, {}, 'unavailable', /503/],
] as const

for (const [status, body, kind, message] of FAILURES) {
  t.test(`a ${status} of ${JSON.stringify(body)} is ${kind} and says why`, async t => {
    const { url } = await startServer(t, (_request, response) => sendJson(response, body, status))
    const error = await errorOf(createClient(t, url).replaceTags(12, ['runner-a']))
    t.equal(error.kind, kind)
    t.equal(error.endpoint, 'PUT /runners/:id')
    t.equal(error.more.status, status)
    t.match(error.message, /runner 12/)
    t.match(error.message, message)
    t.equal(error.ambiguous, kind === 'unavailable')
  })
}

t.test('a redirect is refused and names the target without its query', async t => {
  const { url, requests } = await startServer(t, (_request, response) => {
    response.writeHead(302, { location: 'https://sso.example.com/sign_in?ticket=secret' }).end()
  })
  const error = await errorOf(createClient(t, url).runner(12))
  t.equal(error.kind, 'refused')
  t.match(error.message, 'https://sso.example.com/sign_in:')
  t.notMatch(error.message, /secret/)
  t.equal(requests.length, 1)
})

const UNUSABLE: readonly (readonly [name: string, body: string])[] = [
  ['an HTML page', '<!DOCTYPE html><html><body>Sign in</body></html>'],
  ['truncated JSON', JSON.stringify(RUNNER_12).slice(0, -10)],
  ['nothing', ''],
  ['another shape', '[]'],
  ['a member of another type', JSON.stringify({ ...RUNNER_12, tag_list: 'runner-a' })],
  ['a missing member', JSON.stringify({ ...RUNNER_12, tag_list: undefined })],
  ['a tag list of null', JSON.stringify({ ...RUNNER_12, tag_list: null })],
  ['a time that is none', JSON.stringify({ ...RUNNER_12, contacted_at: 'yesterday' })],
]
for (const [name, body] of UNUSABLE) {
  t.test(`${name} on a 200 is an invalid answer, is not repeated, and is ambiguous for a write`, async t => {
    const { url, requests } = await startServer(t, (_request, response) => response.end(body))
    const client = createClient(t, url)
    t.equal((await errorOf(client.runner(12))).kind, 'invalid_answer')
    t.equal(requests.length, 1)
    t.match(await errorOf(client.wake(12, false)), { kind: 'invalid_answer', ambiguous: true })
  })
}

t.test('an answer longer than allowed is invalid', async t => {
  const { url } = await startServer(t, (_request, response) => sendJson(response, RUNNER_12))
  const error = await errorOf(createClient(t, url, { maxResponseBytes: 50 }).runner(12))
  t.match(error, { kind: 'invalid_answer', message: /50 bytes/ })
})

t.test('a read is repeated exactly once after a 5xx or a lost connection', async t => {
  let failures = 1
  let how = 'status'
  const { url, requests } = await startServer(t, (_request, response) => {
    if (failures-- <= 0) sendJson(response, RUNNER_12)
    else if (how === 'reset') response.socket?.destroy()
    else sendJson(response, {}, 502)
  })
  for (how of ['status', 'reset']) {
    failures = 1
    requests.length = 0
    t.equal((await createClient(t, url).runner(12)).id, 12)
    t.equal(requests.length, 2)
    failures = 9
    requests.length = 0
    t.equal((await errorOf(createClient(t, url).runner(12))).kind, 'unavailable')
    t.equal(requests.length, 2)
  }
})

t.test('a failed read is not repeated when GitLab refuses it or asks for patience', async t => {
  let answer = { status: 404, headers: {} }
  const { url, requests } = await startServer(t, (_request, response) =>
    sendJson(response, {}, answer.status, answer.headers),
  )
  const client = createClient(t, url)
  await errorOf(client.runner(12))
  answer = { status: 503, headers: { 'retry-after': '30' } }
  t.equal((await errorOf(client.runner(12))).more.retryAfterMs, 30_000)
  t.equal(requests.length, 2)
})

t.test('a write is never repeated: a lost answer is ambiguous, and GitLab may have applied it', async t => {
  const applied: unknown[] = []
  const { url } = await startServer(t, ({ method, body }, response) => {
    if (method === 'PUT') applied.push(JSON.parse(body))
    response.socket?.destroy()
  })
  const client = createClient(t, url)
  t.match(await errorOf(client.replaceTags(12, ['runner-a'])), { kind: 'unavailable', ambiguous: true })
  t.match(await errorOf(client.wake(12, true)), { kind: 'unavailable', ambiguous: true })
  t.same(applied, [{ tag_list: ['runner-a'] }, { locked: true }])
})

t.test('a 5xx on a write is ambiguous and not repeated', async t => {
  const { url, requests } = await startServer(t, (_request, response) => sendJson(response, {}, 502))
  t.match(await errorOf(createClient(t, url).wake(12, true)), { kind: 'unavailable', ambiguous: true })
  t.equal(requests.length, 1)
})

t.test('the deadline ends a call whose answer drips for ever, without a repetition', async t => {
  const { url, requests } = await startServer(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const drip = setInterval(() => response.write(' '), 5)
    response.on('close', () => clearInterval(drip))
  })
  const error = await errorOf(createClient(t, url, { deadlineMs: 80 }).runner(12))
  t.match(error, { kind: 'unavailable', message: /no answer within 80 ms/ })
  t.equal(requests.length, 1)
})

t.test('the repetition of a read stays within the deadline of the whole call', async t => {
  const { url, requests } = await startServer(t, (_request, response) => {
    if (requests.length === 1) sendJson(response, {}, 502)
  })
  const startedMs = systemClock.monotonicMs()
  const error = await errorOf(createClient(t, url, { deadlineMs: 300 }).runner(12))
  t.match(error, { kind: 'unavailable', message: /300 ms/ })
  t.equal(requests.length, 2)
  t.ok(systemClock.monotonicMs() - startedMs < 600)
})

t.test('a caller that gives up ends its call', async t => {
  const { url } = await startServer(t, () => undefined)
  const caller = new AbortController()
  const call = errorOf(createClient(t, url).runner(12, caller.signal))
  setTimeout(() => caller.abort(new Error('shutting down')), 20)
  t.match(await call, { kind: 'unavailable', message: /shutting down/ })
  const late = await errorOf(createClient(t, url).runner(12, AbortSignal.abort(new Error('already over'))))
  t.match(late, { kind: 'unavailable', message: /already over/ })
})

t.test('a tag list that is empty or would become another one in GitLab is refused before it is sent', async t => {
  const { url, requests } = await startServer(t, (_request, response) => sendJson(response, RUNNER_12))
  const client = createClient(t, url)
  for (const tags of [[], ['runner-a', ' '], ['runner-a', 'a,b']]) {
    t.match(await errorOf(client.replaceTags(12, tags)), { kind: 'refused', message: /not sent/, ambiguous: false })
  }
  t.equal(requests.length, 0)
})

t.test('a write sends the tags alone, or `locked` alone, and answers with the runner as it then is', async t => {
  const { url, requests } = await startServer(t, (_request, response) =>
    sendJson(response, { ...RUNNER_12, tag_list: ['x'] }),
  )
  const client = createClient(t, url)
  t.same((await client.replaceTags(12, ['runner-a', 'main'])).tags, ['x'])
  await client.wake(12, true)
  t.same(
    requests.map(({ method, path, body }) => [method, path, body]),
    [
      ['PUT', '/api/v4/runners/12', '{"tag_list":["runner-a","main"]}'],
      ['PUT', '/api/v4/runners/12', '{"locked":true}'],
    ],
  )
})

t.test('managers are read with their contact times', async t => {
  const { url } = await startServer(t, (_request, response) =>
    sendJson(response, [
      { system_id: 'r_1', status: 'online', contacted_at: '2026-01-01T00:00:00Z' },
      { system_id: 'r_2', status: 'stale', contacted_at: null },
    ]),
  )
  t.same(await createClient(t, url).managers(12), [
    { systemId: 'r_1', online: true, contactedAtMs: Date.UTC(2026, 0, 1) },
    { systemId: 'r_2', online: false, contactedAtMs: null },
  ])
})

t.test('the number of runners is the total that GitLab tells, or undefined', async t => {
  let total: string | undefined = '37'
  const { url, requests } = await startServer(t, (_request, response) =>
    sendJson(response, [], 200, total === undefined ? {} : { 'x-total': total }),
  )
  const client = createClient(t, url)
  t.equal(await client.groupRunnerTotal('top/sub'), 37)
  total = undefined
  t.equal(await client.groupRunnerTotal(33), undefined)
  total = 'many'
  t.equal((await errorOf(client.groupRunnerTotal(33))).kind, 'invalid_answer')
  t.match(requests, [
    { path: '/api/v4/groups/top%2Fsub/runners?per_page=1' },
    { path: '/api/v4/groups/33/runners?per_page=1' },
  ])
})

t.test("GitLab's clock is that of its newest answer, moved on, and a proxy's 502 does not set it", async t => {
  const clock = shiftableClock()
  const dates = ['Fri, 02 Jan 2026 03:04:05 GMT', 'Fri, 02 Jan 2026 05:00:00 GMT']
  const { url } = await startServer(t, (_request, response) =>
    sendJson(response, RUNNER_12, dates.length === 2 ? 200 : 502, { date: dates.shift() }),
  )
  const client = createClient(t, url, { clock })
  t.equal(client.serverNowMs(), undefined)
  await client.runner(12)
  clock.shiftMs += 60_000
  await errorOf(client.wake(12, false))
  const expected = Date.UTC(2026, 0, 2, 3, 5, 5)
  const now = client.serverNowMs() ?? 0
  t.ok(now >= expected && now < expected + 5_000)
})

t.test('every request is reported once, with its outcome, and gated or unsent calls are not', async t => {
  const seen: unknown[][] = []
  let status = 200
  const { url } = await startServer(t, (_request, response) => sendJson(response, RUNNER_12, status))
  const client = createClient(t, url, { onRequest: (...told) => seen.push(told) })
  await client.runner(12)
  status = 500
  await errorOf(client.runner(12))
  await errorOf(client.replaceTags(12, []))
  status = 429
  await errorOf(client.wake(12, false))
  await errorOf(client.wake(12, false))
  const bytes = JSON.stringify(RUNNER_12).length
  t.same(
    seen.map(told => told.slice(0, 4)),
    [
      ['GET /runners/:id', 'ok', 200, bytes],
      ['GET /runners/:id', 'unavailable', 500, bytes],
      ['GET /runners/:id', 'unavailable', 500, bytes],
      ['PUT /runners/:id', 'rate_limited', 429, bytes],
    ],
  )
  t.ok(seen.every(([endpoint]) => (ENDPOINTS as readonly unknown[]).includes(endpoint)))
  t.ok(seen.every(told => Number(told[4]) >= 0))
})

t.test('the token is in no error, log line or report, even when a proxy echoes it', async t => {
  let told = ''
  const note = (...what: unknown[]) => (told += inspect(what, { depth: 20, showHidden: true }))
  const answers = [
    [400, `{"message":"bad header PRIVATE-TOKEN: ${TOKEN}"}`],
    [400, `{"error":"x","error_description":"${TOKEN}"}`],
    [502, `upstream said ${TOKEN}`],
    [401, `{"message":{"token":["${TOKEN}"]}}`],
    [302, ''],
    [200, `{"id":"${TOKEN}"}`],
    [200, TOKEN],
    [200, `{"errors":[{"message":"${TOKEN} is wrong"}]}`],
    [0, ''],
  ] as const
  let answer: (typeof answers)[number] = answers[0]
  const { url } = await startServer(t, (_request, response) => {
    if (answer[0] === 0) response.socket?.destroy()
    else response.writeHead(answer[0], { location: `/x?private_token=${TOKEN}` }).end(answer[1])
  })
  const log = { debug: note, info: note, warn: note, error: note }
  const client = createClient(t, url, { log, onRequest: note })
  for (answer of answers) {
    note(await errorOf(client.wake(12, false)), await errorOf(client.runner(12)))
    note(await errorOf(client.runnersWithManager([{ id: 12, systemId: 'r_1' }])))
  }
  t.match(told, /redacted/)
  t.notMatch(told, TOKEN)
})

t.test('nor does a name from an answer bring the token into an error', async t => {
  const { url } = await startServer(t, (request, response) => {
    if (request.path.includes('/repository/')) response.writeHead(404).end('{"message":"404 Branch Not Found"}')
    else response.writeHead(200).end(JSON.stringify({ default_branch: TOKEN }))
  })
  const error = await errorOf(createClient(t, url).defaultBranch(101))
  t.match(error.message, /project 101 has no branch \[redacted\]: /)
  t.equal(error.kind, 'not_found')
  t.notMatch(inspect(error, { depth: 20, showHidden: true }), TOKEN)
})
