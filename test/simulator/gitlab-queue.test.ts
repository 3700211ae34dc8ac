import t from 'tap'
import {
  contact,
  createFurnished,
  lastUpdateOf,
  poll,
  RUNNER_TOKEN,
  startFurnished,
  TOKENS,
} from '../support/gitlab.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

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
  const verify = await ask('POST', '/runners/verify', { body: { token: RUNNER_TOKEN, system_id: 'r_bbbbbbbbbbbb' } })
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

t.test('over a socket: a caller that gives up ends its long poll, and closing ends all others', async t => {
  const gitlab = await startFurnished(t)
  const key = lastUpdateOf(await poll(gitlab.ask))
  const impatient = new AbortController()
  const body = { token: RUNNER_TOKEN, last_update: key }
  const idle = gitlab.ask('POST', '/jobs/request', { body, signal: impatient.signal })
  setImmediate(() => impatient.abort(new Error('enough')))
  await t.rejects(idle, /enough/)
  const left = t.rejects(gitlab.ask('POST', '/jobs/request', { body }), 'a broken connection')
  await gitlab.close()
  await left
})
