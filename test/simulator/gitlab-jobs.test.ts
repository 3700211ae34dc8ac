import t from 'tap'
import { contact, createFurnished, lastUpdateOf, poll, RUNNER_TOKEN, TOKENS } from '../support/gitlab.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

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
  const remove = () =>
    ask('DELETE', '/runners/managers', { body: { token: RUNNER_TOKEN, system_id: 's_aaaaaaaaaaaa' } })
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
