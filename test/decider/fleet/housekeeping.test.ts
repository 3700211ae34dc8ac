import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import type { Housekeeping } from '../../../decider/fleet/config.ts'
import { silentManagers, silentRunners } from '../../../decider/fleet/housekeeping/chores.ts'
import { createHousekeeper } from '../../../decider/fleet/housekeeping/housekeeper.ts'
import { createFleetMetrics } from '../../../decider/fleet/metrics.ts'
import { type BusyManager, createGitLabFleet, type FleetRunner } from '../../../lib/gitlab/fleet.ts'
import type { HttpTransport } from '../../../lib/http/transport.ts'
import { silentLog } from '../../../lib/service/log.ts'
import { createGitLab } from '../../../simulator/gitlab/core.ts'
import { createManualClock } from '../../support/manual-clock.ts'
import { createRandom } from '../../support/random.ts'
import { FleetWorld } from './fleet-world.ts'

const HOUR_MS = 3_600_000
const TOKEN = 'glpat-keeper'

/** A simulated GitLab with group 33, its subgroup 34, and a client of the fleet. */
function createScene(t: Test) {
  const clock = createManualClock()
  const core = createGitLab({ clock, random: () => 0.5 })
  t.teardown(() => core.close())
  const { state } = core
  state.addGroup({ id: 33, fullPath: 'ci' })
  state.addGroup({ id: 34, fullPath: 'ci/sub', parent: 33 })
  state.addToken({ token: TOKEN, name: 'keeper', scopes: ['api'], groups: { 33: 'owner' } })
  const writes: string[] = []
  const transport: HttpTransport = async ({ method, url, headers, body = '', signal }) => {
    const { pathname, search } = new URL(url)
    if (method !== 'GET') writes.push(`${method} ${pathname.replace('/api/v4', '')}`)
    const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
    return core.handle({ method, path: pathname + search, headers: lower, body, signal })
  }
  const gitlab = createGitLabFleet({
    url: 'http://gitlab.example.com',
    transport,
    token: () => Promise.resolve(TOKEN),
    clock,
    random: () => 0.5,
  })
  const registry = new Registry()
  /** One round, and what it reports. */
  async function round(
    runnerIds: readonly number[],
    rules: Partial<Housekeeping>,
    runnerTokens: Record<string, string> = {},
  ) {
    const housekeeper = createHousekeeper(
      new FleetWorld(1, createRandom(1)).config(),
      {
        dryRun: false,
        everyMs: 10 * HOUR_MS,
        assignToGroup: undefined,
        removeRunnersAfterMs: undefined,
        removeManagersAfterMs: undefined,
        runnerTokenFiles: [],
        ...rules,
      },
      {
        gitlab,
        readToken: file => Promise.resolve(runnerTokens[file] ?? ''),
        maySend: () => true,
        dryRun: false,
        metrics: createFleetMetrics(registry),
        clock,
        random: () => 0.5,
        log: silentLog,
      },
    )
    registry.clear()
    housekeeper.use({ role: 'active', runnerIds, inherited: null, wanted: null })
    const stopping = new AbortController()
    const running = housekeeper.run(stopping.signal)
    await clock.advance(1000)
    stopping.abort(new Error('the round is over'))
    await clock.advance(1)
    await running
    return housekeeper.report()
  }
  const contact = (token: string, systemId: string) =>
    core.handle({
      method: 'POST',
      path: '/api/v4/jobs/request',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token, system_id: systemId, info: {} }),
    })
  return { clock, core, state, gitlab, writes, round, contact }
}

t.test('project runners get every project of the group, page by page, only what is missing, and are woken', async t => {
  const { state, writes, round } = createScene(t)
  const home = state.addProject({ id: 1000, fullPath: 'ci/home', group: 33 })
  for (let id = 1; id <= 120; id++) state.addProject({ id, fullPath: `ci/p${id}`, group: id % 2 === 0 ? 33 : 34 })
  const runner = state.addRunner({ description: 'one', project: home.id, tags: ['runner-a'] })
  const dry = await round([runner.id], { assignToGroup: 33, dryRun: true })
  t.match(dry[0], /^would assign runner \d+ to project 1$/)
  t.same(writes, [], 'a dry run writes nothing')
  t.equal((await round([runner.id], { assignToGroup: 33 })).length, 50, 'the report is bounded')
  t.equal(writes.filter(write => write.startsWith('POST')).length, 100, 'so is a round')
  t.equal(writes.at(-1), `PUT /runners/${runner.id}`, 'its queue is woken')
  writes.length = 0
  await round([runner.id], { assignToGroup: 33 })
  t.equal(writes.filter(write => write.startsWith('POST')).length, 20)
  t.equal(state.runner(runner.id).projectIds.length, 121)
  writes.length = 0
  t.same(await round([runner.id], { assignToGroup: 33 }), [])
  t.same(writes, [], 'nothing is missing')
})

t.test('locked runners and those of groups are left as they are, and a refusal is told', async t => {
  const { state, writes, round } = createScene(t)
  const home = state.addProject({ id: 1, fullPath: 'ci/home', group: 33 })
  state.addProject({ id: 2, fullPath: 'ci/other', group: 33 })
  const locked = state.addRunner({ project: home.id, tags: ['runner-a'], locked: true })
  const group = state.addRunner({ group: 33, tags: ['runner-a'] })
  t.match(await round([locked.id, group.id], { assignToGroup: 33 }), [/is locked/, /is no project runner/])
  t.same(writes, [])
  t.match(await round([locked.id], { assignToGroup: 999 }), [/could not assign runners to projects: .*404/])
})

t.test('runners that were not seen for long are removed, never the last one nor one with jobs', async t => {
  const { clock, state, round, contact } = createScene(t)
  const project = state.addProject({ id: 1, fullPath: 'ci/app', group: 33 })
  const [old, busy, fresh] = ['old', 'busy', 'fresh'].map(description =>
    state.addRunner({ description, group: 33, tags: ['runner-a', description] }),
  )
  if (!old || !busy || !fresh) throw new Error('three runners')
  state.addJob({ project: project.id, tags: ['busy'], durationMs: 1000 * HOUR_MS })
  for (const { token } of [old, busy, fresh]) await contact(token, 's_a')
  await clock.advance(30 * 60_000)
  const rules = { removeRunnersAfterMs: 24 * HOUR_MS }
  t.same(await round([old.id, busy.id, fresh.id], rules), [], 'all were seen')
  await clock.advance(25 * HOUR_MS)
  t.same(await round([old.id, busy.id, fresh.id], rules), [], 'all are silent: perhaps it is not they who are gone')
  await contact(fresh.token, 's_a')
  const busyStill = state.jobs().some(job => job.status === 'running' && job.runnerId === busy.id)
  const told = await round([old.id, busy.id, fresh.id], { ...rules, dryRun: true })
  t.match(told.join('\n'), new RegExp(`would remove runner ${old.id}, silent since 2026`))
  if (busyStill) t.match(told.join('\n'), new RegExp(`runner ${busy.id} is silent, but GitLab says that it has jobs`))
  t.ok(state.runner(old.id), 'a dry run removes nothing')
  await round([old.id, fresh.id], rules)
  t.throws(() => state.runner(old.id))
  t.ok(state.runner(fresh.id))
})

t.test('managers that were not seen for long are removed with the runner’s own token', async t => {
  const { clock, state, gitlab, round, contact } = createScene(t)
  const runner = state.addRunner({ group: 33, tags: ['runner-a'] })
  await contact(runner.token, 's_old')
  await clock.advance(30 * HOUR_MS)
  const rules = { removeManagersAfterMs: 24 * HOUR_MS, runnerTokenFiles: [{ runner: runner.id, file: '/token' }] }
  const tokens = { '/token': runner.token }
  t.same(await round([runner.id], rules, tokens), [], 'the last one stays')
  await contact(runner.token, 's_new')
  t.match(await round([runner.id], rules, { '/token': 'wrong' }), [/could not remove manager s_old .*403/])
  t.match(await round([runner.id], rules, tokens), [/did remove manager s_old/])
  t.same(
    (await gitlab.managers(runner.id)).map(({ systemId }) => systemId),
    ['s_new'],
  )
})

const runner = (id: number, more: Partial<FleetRunner>): FleetRunner => ({
  id,
  description: null,
  paused: false,
  online: null,
  tags: [],
  locked: false,
  contactedAtMs: null,
  type: 'group_type',
  createdAtMs: 0,
  projectIds: [],
  ...more,
})

t.test('a runner that never spoke counts from its creation, and proves nothing for the others', t => {
  const now = 100 * HOUR_MS
  const heard = runner(1, { contactedAtMs: now - 1000 })
  t.same(
    silentRunners([runner(2, {}), heard], HOUR_MS, now).map(({ id }) => id),
    [2],
  )
  t.same(silentRunners([runner(2, {}), runner(3, { createdAtMs: now })], HOUR_MS, now), [])
  t.same(silentRunners([runner(2, { createdAtMs: undefined }), heard], HOUR_MS, now), [], 'unknown is not old')
  t.end()
})

t.test('a busy manager is never silent', t => {
  const manager = (systemId: string, contactedAtMs: number, busy?: boolean): BusyManager => ({
    systemId,
    online: false,
    contactedAtMs,
    busy,
  })
  const now = 100 * HOUR_MS
  const all = [manager('old', 0, false), manager('busy', 0, true), manager('ancient', 0), manager('new', now)]
  t.same(
    silentManagers(all, HOUR_MS, now).map(({ systemId }) => systemId),
    ['old', 'ancient'],
  )
  t.end()
})
