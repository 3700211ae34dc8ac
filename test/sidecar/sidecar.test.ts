import t, { type Test } from 'tap'
import { createGitLab } from '../../simulator/gitlab/core.ts'
import type { GitLabState } from '../../simulator/gitlab/state.ts'
import { createSimulatedTransport } from '../../simulator/gitlab/transport.ts'
import { furnish, TOKENS } from '../support/gitlab.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { RunnerDouble, type EntryDouble } from './runner-double.ts'
import { startWorld, type WorldOptions } from './world.ts'

/** Runner 1 of the furnished GitLab has the token `glrt-t2_aaaaaaaaaaaa`; this is how its process shows that. */
const SHORT_TOKEN = 'aaaaaaaaa'
const SYSTEM_ID = 'r_AAAAAAAAAAAA'
const MINUTE = 60_000

interface Parts {
  state: GitLabState
  runner: RunnerDouble
  entry: EntryDouble
}

async function start(t: Test, more: Partial<WorldOptions> & { arrange?: (world: Parts) => void } = {}) {
  const core = createGitLab({ clock: createManualClock(), random: () => 0.5 })
  t.teardown(() => core.close())
  furnish(core.state)
  const runner = new RunnerDouble()
  const entry = runner.add(SHORT_TOKEN, SYSTEM_ID)
  const poll = async (token: string, systemId: string) => {
    const body = JSON.stringify({ token, system_id: systemId, info: {} })
    const headers = { 'content-type': 'application/json' }
    await core.handle({ method: 'POST', path: '/api/v4/jobs/request', headers, body })
  }
  await poll('glrt-t2_aaaaaaaaaaaa', SYSTEM_ID)
  more.arrange?.({ state: core.state, runner, entry })
  const gitlab = { url: 'http://gitlab.example', transport: createSimulatedTransport(core) }
  const world = await startWorld(t, { runner: runner.transport(), gitlab, token: TOKENS.reader, ...more })
  return {
    ...world,
    runner,
    entry,
    poll,
    state: core.state,
    faults: core.faults,
    asked: () => core.state.requests.filter(({ caller }) => caller.startsWith('token:')),
    /** Time in which the runner asks for jobs as it should. */
    live: (ms: number) => world.run(ms, () => runner.poll()),
  }
}

t.test('a shared runner is found by token and process, and is available once it was seen to ask for jobs', async t => {
  const { live, run, available, online, value, health, get, check } = await start(t)
  await run(1_000)
  t.equal(await health(), 'unknown: no_contact_yet: no successful job request was seen yet')
  t.equal((await get('/healthz')).status, 503)
  t.equal(await available(), undefined, 'unknown is absent')
  await live(10_000)
  t.equal(await available(), 1)
  t.equal((await get('/healthz')).status, 200)
  t.equal(await online(), 1)
  const total = await value('gitlab_runner_hadr_sidecar_total_runners_available')
  t.equal(total, 3, 'the list has the runners of the groups above and of the instance, too')
  t.match(
    (await get('/metrics')).body,
    [
      'gitlab_runner_hadr_sidecar_runner_info',
      `{pod_name="pod-1",pod_namespace="runners",runner_id="1",system_id="${SYSTEM_ID}"} 1\n`,
    ].join(''),
  )
  for (const name of ['configuration', 'runner_metrics', 'contact', 'identity', 'gitlab', 'ports']) {
    t.equal(await check(name), 1, name)
  }
  t.equal((await get('/readyz')).status, 200)
})

t.test('in steady state a pod asks GitLab twice a minute, whatever the size of the group', async t => {
  const sizes: number[] = []
  for (const others of [0, 300]) {
    const { live, state, asked } = await start(t)
    for (let n = 0; n < others; n += 1) state.addRunner({ group: 33, description: `other ${n}`, tags: ['x'] })
    await live(2 * MINUTE)
    const before = asked().length
    await live(10 * MINUTE)
    const steady = asked().slice(before)
    t.equal(steady.length, 20)
    sizes.push(steady.reduce((sum, { bytes }) => sum + bytes, 0))
  }
  const [small = 0, large = 0] = sizes
  t.ok(large < small * 1.05, `${small} bytes in a small group, ${large} in a large one`)
})

t.test('a runner with a registration token is found by its description', async t => {
  const { live, value, asked } = await start(t, {
    arrange: ({ state, entry }) => {
      entry.shortToken = 'bbbbbbbbb'
      const common = { group: 33, tags: ['runner-a'] }
      for (let n = 0; n < 50; n += 1) state.addRunner({ ...common, description: `pod-${n + 100}` })
      state.addRunner({ ...common, id: 900, token: 't2_bbbbbbbbbbbb', description: 'pod-1' })
    },
  })
  await live(2_000)
  t.equal(await value('gitlab_runner_hadr_sidecar_runner_info', 'runner_id="900"'), 1)
  t.equal(asked().filter(({ route }) => route === '/graphql').length, 2, 'one search, one question')
})

t.test(
  'of several runners with the name of the pod the newest is meant when nothing else tells them apart',
  async t => {
    const runner = new RunnerDouble()
    runner.trouble = 'refused'
    const { run, state, value } = await start(t, { runner: runner.transport() })
    const ids = [1, 2].map(() => state.addRunner({ group: 33, description: 'pod-1', tags: ['runner-a'] }).id)
    await run(2_000)
    t.equal(await value('gitlab_runner_hadr_sidecar_runner_info', `runner_id="${ids[1]}"`), 1)
  },
)

t.test('several entries of one process are several runners in one question', async t => {
  const { live, state, runner, poll, asked, get } = await start(t)
  const { id } = state.addRunner({ group: 33, token: 'glrt-t2_cccccccccccc', tags: ['runner-a'] })
  await poll('glrt-t2_cccccccccccc', SYSTEM_ID)
  runner.add('ccccccccc', SYSTEM_ID)
  await live(3 * MINUTE)
  const { body } = await get('/metrics')
  t.equal(body.match(/runner_info\{/g)?.length, 2)
  t.match(body, `runner_id="${id}"`)
  const lastMinute = asked().slice(-2)
  t.same(lastMinute.map(({ route }) => route).sort(), ['/graphql', '/groups/:id/runners'])
})

t.test('a paused runner is unavailable, and available again when it is not', async t => {
  const { live, state, available, health, online } = await start(t)
  await live(10_000)
  state.editRunner(1, { paused: true })
  await live(MINUTE)
  t.equal(await available(), 0)
  t.equal(await health(), 'unavailable: paused: the runner is paused in GitLab')
  t.equal(await online(), 1, 'GitLab calls a paused runner online')
  state.editRunner(1, { paused: false })
  await live(MINUTE)
  t.equal(await available(), 1)
})

t.test('one paused entry does not make the pod unavailable', async t => {
  const { live, state, runner, available } = await start(t)
  state.addRunner({ group: 33, token: 'glrt-t2_cccccccccccc', tags: ['x'], paused: true })
  runner.add('ccccccccc', SYSTEM_ID)
  await live(2 * MINUTE)
  t.equal(await available(), 1)
})

t.test('a runner that vanishes from GitLab is searched for, and unknown meanwhile', async t => {
  const { live, state, available, health, online, check, value, said } = await start(t)
  await live(10_000)
  state.removeRunner(1)
  await live(3 * MINUTE)
  t.equal(await available(), undefined)
  t.match(await health(), /^unknown: runner_not_found/)
  t.equal(await online(), undefined, 'not found is not offline')
  t.equal(await check('identity'), 0)
  t.equal(await value('gitlab_runner_hadr_sidecar_runner_info'), undefined)
  t.equal(said('GitLab has no runner that is this one').length, 1)
})

t.test('a search that finds nothing is repeated ever more seldom', async t => {
  const { run, asked } = await start(t, {
    arrange: ({ entry }) => void (entry.shortToken = 'zzzzzzzzz'),
  })
  await run(30 * MINUTE)
  const searches = asked().filter(({ route }) => route === '/graphql').length
  t.ok(searches >= 6 && searches <= 14, `${searches} searches of two queries in half an hour`)
})

t.test('an entry that appears later is looked for at once', async t => {
  const { run, runner, value } = await start(t, { arrange: ({ runner }) => void runner.entries.splice(0) })
  await run(20_000)
  t.equal(await value('gitlab_runner_hadr_sidecar_runner_info'), undefined)
  runner.add(SHORT_TOKEN, SYSTEM_ID)
  await run(6_000)
  t.equal(await value('gitlab_runner_hadr_sidecar_runner_info', 'runner_id="1"'), 1)
})

t.test('a token for the runner alone works with a runner id, without a total', async t => {
  const { live, state, available, online, value, check, asked } = await start(t, {
    token: TOKENS.manager,
    options: { runnerIds: [1] },
  })
  await live(2 * MINUTE)
  t.equal(await online(), 1)
  t.equal(await available(), 1)
  t.equal(await check('gitlab'), 1)
  t.equal(await value('gitlab_runner_hadr_sidecar_total_runners_available'), undefined)
  const before = asked().length
  state.editRunner(1, { paused: true })
  await live(10 * MINUTE)
  t.equal(await available(), 0)
  t.same(
    [
      ...new Set(
        asked()
          .slice(before)
          .map(({ route }) => route),
      ),
    ],
    ['/runners/:id'],
  )
  t.equal(asked().length - before, 10)
})

t.test('a runner id that GitLab does not have leaves the pod unknown', async t => {
  const { live, available, health, said } = await start(t, { options: { runnerIds: [999] } })
  await live(3 * MINUTE)
  t.equal(await available(), undefined)
  t.match(await health(), /^unknown: runner_not_found/)
  t.equal(said('GitLab has no such runner').length, 1)
})

t.test('without a token local facts alone decide, and GitLab is never asked', async t => {
  const { live, asked, available, online, check, value } = await start(t, {
    token: undefined,
    options: { runnerIds: [1] },
  })
  await live(5 * MINUTE)
  t.equal(await available(), 1)
  t.equal(await online(), undefined)
  t.equal(await check('gitlab'), undefined)
  t.equal(await value('gitlab_runner_hadr_sidecar_runner_info', 'runner_id="1"'), 1)
  t.equal(asked().length, 0)
})

t.test('an outage of GitLab vetoes nothing, is logged once, and its word is forgotten after three checks', async t => {
  const { live, faults, available, online, check, said, value } = await start(t)
  await live(10_000)
  const success = await value('gitlab_runner_hadr_sidecar_total_status_requests', 'status="success"')
  const end = faults.outage({ kind: 'status', status: 503 })
  await live(2 * MINUTE)
  t.equal(await online(), 1, 'still remembered')
  t.equal(await check('gitlab'), 0)
  await live(8 * MINUTE)
  t.equal(await online(), undefined)
  t.equal(await available(), 1)
  t.equal(said('GitLab was asked in vain; local facts decide').length, 1)
  t.equal(await value('gitlab_runner_hadr_sidecar_total_status_requests', 'status="success"'), success)
  t.ok(((await value('gitlab_runner_hadr_sidecar_total_status_requests', 'status="failed"')) ?? 0) >= 9)
  end()
  await live(MINUTE)
  t.equal(await online(), 1)
})

t.test('a wrong token is named once, with the mend, and never shown', async t => {
  const { live, available, check, log, said } = await start(t, { token: 'glpat-wrong-and-secret' })
  await live(5 * MINUTE)
  t.equal(await available(), 1)
  t.equal(await check('gitlab'), 0)
  const lines = said('GitLab was asked in vain; local facts decide')
  t.equal(lines.length, 1)
  t.match(lines[0]?.fields, { kind: 'unauthorized', mend: /token/ })
  t.notMatch(JSON.stringify(log.lines), /wrong-and-secret/)
})

t.test('an unknown group is named once', async t => {
  const { live, available, said } = await start(t, { options: { group: '4711' } })
  await live(5 * MINUTE)
  t.equal(await available(), 1, 'local facts decide')
  const lines = said('GitLab was asked in vain; local facts decide')
  t.match(lines, [{ fields: { kind: 'not_found', mend: /gitlab-group-id/ } }])
})

t.test('a throttled sidecar asks no more until GitLab wants it', async t => {
  const { live, faults, asked } = await start(t)
  await live(10_000)
  const end = faults.outage({ kind: 'throttled', retryAfterSeconds: 600 })
  await live(MINUTE)
  end()
  const before = asked().length
  await live(9 * MINUTE)
  t.equal(asked().length, before)
  await live(3 * MINUTE)
  t.ok(asked().length > before)
})

t.test('a runner that is refused is unavailable after three minutes', async t => {
  const { live, run, available, health, check, entry } = await start(t)
  await live(10_000)
  await run(170_000, () => (entry.refused += 1))
  t.equal(await available(), 1, 'a short trouble moves nothing')
  await run(15_000)
  t.equal(await available(), 0)
  t.match(await health(), /^unavailable: refused/)
  t.equal(await check('contact'), 0)
})

t.test('a tripped circuit breaker makes unavailable while GitLab answers, and unknown while it does not', async t => {
  const { live, run, faults, available, health, entry } = await start(t)
  await live(10_000)
  entry.unhealthy = 3
  await run(190_000)
  t.equal(await available(), 0)
  t.match(await health(), /^unavailable: circuit_open/)
  faults.outage()
  await run(MINUTE)
  t.equal(await available(), undefined)
  t.match(await health(), /^unknown: gitlab_unreachable/)
})

t.test('a runner that stops asking for no known cause is unknown', async t => {
  const { live, run, available, health } = await start(t)
  await live(10_000)
  await run(190_000)
  t.equal(await available(), undefined)
  t.match(await health(), /^unknown: contact_stale/)
})

t.test('a full runner asks for nothing and is available', async t => {
  const { live, run, runner, available, entry } = await start(t)
  await live(10_000)
  entry.running = 10
  await run(5 * MINUTE)
  t.equal(await available(), 1)
  runner.concurrent = 20
  entry.limit = 10
  await run(5 * MINUTE)
  t.equal(await available(), 1, 'full by the limit of its entry')
  entry.running = 9
  await run(190_000)
  t.equal(await available(), undefined, 'a free slot, and yet it does not ask')
})

t.test('a stopping runner is unavailable at once', async t => {
  const { live, runner, available } = await start(t)
  await live(10_000)
  runner.state = 'graceful-shutdown'
  await live(5_000)
  t.equal(await available(), 0)
})

t.test('a process that is gone is unavailable after two looks, one that is silent is unknown', async t => {
  const { live, runner, available, health, check, said, entry } = await start(t)
  await live(10_000)
  runner.trouble = 'refused'
  await live(5_000)
  t.equal(await available(), 1, 'one failed look is forgiven')
  await live(5_000)
  t.equal(await available(), 0)
  t.match(await health(), /^unavailable: runner_gone/)
  t.equal(await check('runner_metrics'), 0)
  runner.trouble = undefined
  entry.good = 0
  await live(5_000)
  t.match(await health(), /^(unknown|available)/)
  await live(5_000)
  t.equal(await available(), 1, 'back after a restart')
  runner.trouble = { text: '<html>not metrics</html>\n' }
  await live(30_000)
  t.match(await health(), /^unknown: runner_unreadable/)
  t.equal(await available(), undefined)
  t.equal(said(/^the runner's metrics cannot be read/).length, 2)
})

t.test('unreadable tables of ports are named once and leave no number', async t => {
  const { live, value, check, said } = await start(t, { options: { procRoot: t.testdir({}) } })
  await live(MINUTE)
  t.equal(await value('port_used'), undefined)
  t.equal(await value('port_total'), undefined)
  t.equal(await check('ports'), 0)
  t.equal(said('local ports cannot be counted').length, 1)
})

t.test('a draining sidecar calls its runner unavailable and serves until the runner has been silent twice', async t => {
  const { live, run, runner, sidecar, available, health } = await start(t)
  await live(10_000)
  let drained = false
  const drain = sidecar.drain().then(() => (drained = true))
  await live(2 * MINUTE)
  t.equal(await available(), 0)
  t.match(await health(), /^unavailable: shutting_down/)
  t.equal(drained, false)
  runner.trouble = 'refused'
  await run(5_000)
  t.equal(drained, false)
  await run(5_000)
  await drain
  t.equal(drained, true)
})

t.test('a configuration mistake is a metric', async t => {
  const { run, check } = await start(t, { options: { configurationOk: false } })
  await run(1_000)
  t.equal(await check('configuration'), 0)
})
