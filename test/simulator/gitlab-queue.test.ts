import t from 'tap'
import { createFurnished, startFurnished, TOKENS, type Reply } from '../support/gitlab.ts'

const RUNNER = 'glrt-t2_aaaaaaaaaaaa'
const MINUTE = 60_000
const HOUR = 60 * MINUTE

type Ask = ReturnType<typeof createFurnished>['ask']

/** One poll as gitlab-runner sends it. */
const poll = (ask: Ask, lastUpdate?: string, more: object = {}) =>
  ask('POST', '/jobs/request', {
    body: {
      token: RUNNER,
      system_id: 's_aaaaaaaaaaaa',
      ...(lastUpdate !== undefined && { last_update: lastUpdate }),
      info: { name: 'gitlab-runner', version: '19.4.0', executor: 'kubernetes' },
      ...more,
    },
  })
const lastUpdateOf = ({ headers }: Reply) => headers['x-gitlab-last-update'] ?? ''

async function contact(ask: Ask) {
  const { json } = await ask('GET', '/runners/1', { token: TOKENS.owner })
  return json as { contacted_at: string | null; online: boolean | null; status: string }
}

t.test('an idle poll is answered by Workhorse after the long poll and does not refresh the contact', async t => {
  const { ask, clock, state } = createFurnished(t)
  const first = await poll(ask)
  t.equal(first.status, 204)
  const key = lastUpdateOf(first)
  t.match(key, /^[0-9a-f]{32}$/)
  const { contacted_at: contactedAt } = await contact(ask)
  t.equal(contactedAt, '2026-01-01T00:00:00.000Z')

  for (let round = 0; round < 3; round++) {
    let answered = false
    const idle = poll(ask, key).finally(() => (answered = true))
    await clock.advance(49_999)
    t.notOk(answered)
    await clock.advance(1)
    const reply = await idle
    t.equal(reply.status, 204)
    t.notOk('x-gitlab-last-update' in reply.headers, 'Workhorse knows no new value')
  }
  t.equal((await contact(ask)).contacted_at, contactedAt)
  t.equal(state.count({ route: '/jobs/request', caller: 'runner:1', status: 204 }), 4)
})

t.test('the key lives for one hour, then the next poll reaches Rails and refreshes the contact', async t => {
  const { ask, clock } = createFurnished(t)
  const key = lastUpdateOf(await poll(ask))
  await clock.advance(HOUR - 1)
  const idle = poll(ask, key)
  await clock.advance(50_000)
  t.notOk('x-gitlab-last-update' in (await idle).headers)
  const fresh = await poll(ask, key)
  t.not(lastUpdateOf(fresh), key)
  t.equal((await contact(ask)).contacted_at, '2026-01-01T01:00:49.999Z')
})

t.test('a PUT that changes nothing ends the long poll, and the next poll refreshes the contact', async t => {
  const { ask, clock, state } = createFurnished(t)
  const key = lastUpdateOf(await poll(ask))
  await clock.advance(10 * MINUTE)
  const idle = poll(ask, key)
  await clock.advance(5_000)
  const put = await ask('PUT', '/runners/1', { token: TOKENS.owner, body: { locked: false } })
  t.equal(put.status, 200)
  t.equal((await idle).status, 204)
  t.equal((await contact(ask)).contacted_at, '2026-01-01T00:00:00.000Z', 'being woken is no contact yet')
  await poll(ask, key)
  t.equal((await contact(ask)).contacted_at, '2026-01-01T00:10:05.000Z')
  t.strictSame(
    state.tagHistory.filter(({ by }) => by !== 'admin'),
    [],
    'no tag changed',
  )
})

t.test('with a long poll of 50 ns Workhorse still answers, but at once; with 0 everything reaches Rails', async t => {
  const instant = createFurnished(t, { timing: { longPollMs: 0.000_05 } })
  const key = lastUpdateOf(await poll(instant.ask))
  await instant.clock.advance(MINUTE)
  t.notOk('x-gitlab-last-update' in (await poll(instant.ask, key)).headers)
  t.equal((await contact(instant.ask)).contacted_at, '2026-01-01T00:00:00.000Z')

  const off = createFurnished(t, { timing: { longPollMs: 0 } })
  const first = lastUpdateOf(await poll(off.ask))
  await off.clock.advance(MINUTE)
  t.equal(lastUpdateOf(await poll(off.ask, first)), first)
  t.equal((await contact(off.ask)).contacted_at, '2026-01-01T00:01:00.000Z')
})

t.test('a runner is called online for two hours after its cluster died, and stale after a week', async t => {
  const { ask, clock } = createFurnished(t)
  await poll(ask)
  await clock.advance(2 * HOUR - 1)
  t.match(await contact(ask), { online: true, status: 'online' })
  await clock.advance(1)
  t.match(await contact(ask), { online: false, status: 'offline' })
  const managers = () => ask('GET', '/runners/1/managers', { token: TOKENS.owner })
  t.match((await managers()).json, [{ system_id: 's_aaaaaaaaaaaa', status: 'offline', version: '19.4.0' }])
  await clock.advance(7 * 24 * HOUR)
  t.match(await contact(ask), { online: false, status: 'stale' })
  t.strictSame((await managers()).json, [], 'housekeeping forgets a stale manager')
})

t.test('the filter by status reads a column that lags behind what the bodies say', async t => {
  const { ask, clock } = createFurnished(t, { timing: { onlineTimeoutMs: 30 * MINUTE } })
  await poll(ask)
  await clock.advance(40 * MINUTE)
  await poll(ask)
  const list = (status: string) =>
    ask('GET', `/groups/33/runners?type=group_type&status=${status}`, { token: TOKENS.owner })
  t.match((await contact(ask)).online, true, 'Redis has the new contact')
  t.strictSame((await list('online')).json, [], 'the column has the old one')
  t.match((await list('offline')).json, [{ id: 1, online: true }])
})

t.test('a paused runner keeps its contact and gets no job; unpausing wakes it', async t => {
  const { ask, clock, state } = createFurnished(t)
  state.addJob({ project: 101, tags: ['runner-a'] })
  state.editRunner(1, { paused: true })
  const refused = await poll(ask)
  t.equal(refused.status, 204)
  t.match(await contact(ask), { online: true, status: 'paused' })
  const idle = poll(ask, lastUpdateOf(refused))
  await clock.advance(1_000)
  state.editRunner(1, { paused: false })
  t.equal((await idle).status, 204)
  t.equal((await poll(ask, lastUpdateOf(refused))).status, 201)
})

t.test('a job goes to a runner that has all its tags, and a pending one is taken when the tag arrives', async t => {
  const { ask, clock, state } = createFurnished(t)
  state.editRunner(1, { tags: ['runner-a'] })
  const job = state.addJob({ project: 101, tags: ['rnd-runner'], durationMs: 3_000 })
  const untagged = state.addJob({ project: 101, tags: [] })
  const first = await poll(ask)
  t.equal(first.status, 204, 'neither the tagged nor the untagged job fits')
  const idle = poll(ask, lastUpdateOf(first))
  await clock.advance(1_000)
  state.editRunner(1, { tags: ['runner-a', 'rnd-runner'] })
  await idle
  const taken = await poll(ask, lastUpdateOf(first))
  t.equal(taken.status, 201)
  t.match(taken.json, { id: job.id, token: job.token, job_info: { project_id: 101 }, git_info: {}, steps: [{}] })
  t.equal(state.job(untagged.id).status, 'pending')
  t.match((await ask('GET', `/projects/101/jobs/${job.id}`, { token: TOKENS.reporter })).json, {
    status: 'running',
    tag_list: ['rnd-runner'],
    runner: { id: 1 },
    runner_manager: { system_id: 's_aaaaaaaaaaaa' },
  })
})

t.test('a new job ends the long poll of a matching runner', async t => {
  const { ask, clock, state } = createFurnished(t)
  const key = lastUpdateOf(await poll(ask))
  const idle = poll(ask, key)
  await clock.advance(1_000)
  state.addJob({ project: 101, tags: ['other'] })
  await clock.advance(1_000)
  state.addJob({ project: 101, tags: ['runner-a'] })
  t.equal((await idle).status, 204)
  t.equal(clock.monotonicMs(), 2_000)
  t.equal((await poll(ask, key)).status, 201)
})

t.test('a job is worked on: trace, state, and 403 once it is over', async t => {
  const { ask, clock, state } = createFurnished(t)
  const changes: string[] = []
  state.onJobChange(({ before, after }) => changes.push(`${before ?? 'none'}>${after}`))
  const job = state.addJob({ project: 101, tags: ['runner-a'] })
  await poll(ask)
  await clock.advance(30 * MINUTE)
  const patch = (body: string, start: number) =>
    ask('PATCH', `/jobs/${job.id}/trace`, {
      body,
      headers: {
        'content-type': 'text/plain',
        'job-token': job.token,
        'content-range': `${start}-${start + body.length - 1}`,
      },
    })
  t.match(await patch('hello', 0), { status: 202, headers: { range: '0-5', 'job-status': 'running' } })
  t.match(await patch('late', 9), { status: 416, headers: { range: '0-5' } })
  t.equal((await contact(ask)).contacted_at, '2026-01-01T00:30:00.000Z', 'a trace is a contact')
  const put = (token: string, state?: string) => ask('PUT', `/jobs/${job.id}`, { body: { token, state, exit_code: 0 } })
  t.equal((await put('wrong')).status, 403)
  t.equal((await put(job.token)).status, 200)
  t.equal((await put(job.token, 'success')).status, 200)
  t.match(await put(job.token, 'success'), {
    status: 403,
    headers: { 'job-status': 'success' },
    json: { message: '403 Forbidden - Job is not running' },
  })
  t.strictSame(changes, ['none>pending', 'pending>running', 'running>success'])
})

t.test('a job whose manager died fails after an hour without news, at the next housekeeping', async t => {
  const { ask, clock, state } = createFurnished(t)
  await clock.advance(1)
  const job = state.addJob({ project: 101, tags: ['runner-a'] })
  await poll(ask)
  await clock.advance(HOUR)
  t.equal(state.job(job.id).status, 'running')
  await clock.advance(HOUR)
  t.match(state.job(job.id), { status: 'failed', failureReason: 'stuck_or_timeout_failure' })
})

t.test('a queued job fails when housekeeping finds it older than an hour and nobody online with its tags', async t => {
  const { ask, clock, state } = createFurnished(t)
  await poll(ask)
  state.editRunner(1, { paused: true })
  const lost = state.addJob({ project: 101, tags: ['nobody'] })
  state.editRunner(1, { paused: false })
  await clock.advance(30 * MINUTE)
  const young = state.addJob({ project: 101, tags: ['nobody'] })
  const waiting = state.addJob({ project: 101, tags: ['rnd-runner'] })
  await clock.advance(90 * MINUTE - 1)
  t.equal(state.job(lost.id).status, 'pending')
  await clock.advance(1)
  t.match(state.job(lost.id), { status: 'failed', failureReason: 'stuck_pending_no_matching_runners' })
  t.equal(state.job(young.id).status, 'failed', 'the age counts, not the time without a match')
  t.equal(state.job(waiting.id).status, 'failed', 'the runner fell offline two hours after its last contact')
})

t.test('an unknown runner token is forbidden, and a deleted runner stops polling with that', async t => {
  const { ask, state } = createFurnished(t)
  const unknown = await ask('POST', '/jobs/request', { body: { token: 'glrt-nobody', last_update: 'x' } })
  t.match(unknown, { status: 403, json: { message: '403 Forbidden' } })
  const key = lastUpdateOf(await poll(ask))
  state.removeRunner(1)
  t.equal((await poll(ask, key)).status, 403)
})

t.test('verify is a contact, yet GraphQL calls the runner never contacted until it asks for a job', async t => {
  const { ask } = createFurnished(t)
  const verify = await ask('POST', '/runners/verify', { body: { token: RUNNER, system_id: 'r_bbbbbbbbbbbb' } })
  t.match(verify, { status: 200, json: { id: 1 } })
  t.match(await contact(ask), { online: true, status: 'online' })
  const status = async () => {
    const query = '{ runner(id: "gid://gitlab/Ci::Runner/1") { status } }'
    return (await ask('POST', '/api/graphql', { token: TOKENS.owner, body: { query } })).json
  }
  t.match(await status(), { data: { runner: { status: 'NEVER_CONTACTED' } } })
  await poll(ask)
  t.match(await status(), { data: { runner: { status: 'ONLINE' } } })
})

t.test('registration makes one runner per pod, when it is allowed at all', async t => {
  const { ask, state } = createFurnished(t)
  const register = (token: string) =>
    ask('POST', '/runners', { body: { token, description: 'pod-1', tag_list: 'runner-a,x', run_untagged: false } })
  t.match(await register('GR-ci'), { status: 410, json: { message: /^410 Gone/ } })
  state.allowRegistration(true)
  t.equal((await register('GR-wrong')).status, 403)
  const first = await register('GR-ci')
  const second = await register('GR-ci')
  t.equal(first.status, 201)
  const { id, token } = first.json as { id: number; token: string }
  t.not(id, (second.json as { id: number }).id)
  t.match(token, /^t2_/)
  t.match(state.runner(id), { description: 'pod-1', tags: ['runner-a', 'x'], groupId: 33 })
  t.equal((await ask('DELETE', '/runners', { body: { token } })).status, 204)
  t.equal((await ask('POST', '/runners/verify', { body: { token } })).status, 403)
})

t.test('unregistering a pod of a shared token removes its manager only', async t => {
  const { ask, state } = createFurnished(t)
  await poll(ask)
  const remove = () => ask('DELETE', '/runners/managers', { body: { token: RUNNER, system_id: 's_aaaaaaaaaaaa' } })
  t.equal((await remove()).status, 204)
  t.equal((await remove()).status, 404)
  t.equal(state.runner(1).managers.size, 0)
})

t.test('a runner token may ask for jobs 2000 times a minute', async t => {
  const { ask, clock } = createFurnished(t, { timing: { longPollMs: 0 } })
  for (let i = 0; i < 2000; i++) await poll(ask)
  const limited = await poll(ask)
  t.match(limited, { status: 429, json: { message: { error: /too many times/ } } })
  t.notOk('retry-after' in limited.headers)
  await clock.advance(MINUTE)
  t.equal((await poll(ask)).status, 204)
})

t.test('over a socket: a caller that gives up ends its long poll, and closing ends all others', async t => {
  const gitlab = await startFurnished(t)
  const key = lastUpdateOf(await poll(gitlab.ask))
  const impatient = new AbortController()
  const body = { token: RUNNER, last_update: key }
  const idle = gitlab.ask('POST', '/jobs/request', { body, signal: impatient.signal })
  setImmediate(() => impatient.abort(new Error('enough')))
  await t.rejects(idle, /enough/)
  const left = t.rejects(gitlab.ask('POST', '/jobs/request', { body }), 'a broken connection')
  await gitlab.close()
  await left
})
