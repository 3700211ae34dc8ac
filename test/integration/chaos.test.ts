import t from 'tap'
import { poolReport } from '../../cli/demo/reports.ts'
import { type Stage, createStage } from '../../cli/demo/stage.ts'
import { HADR_PROJECT_ID, MAIN_TAG } from '../../cli/demo/stage-options.ts'
import { Witness } from '../../cli/demo/witness.ts'
import { systemClock } from '../../lib/service/clock.ts'
import { silentLog } from '../../lib/service/log.ts'
import { type ChaosProxy, MISHAPS, startChaosProxy } from '../support/chaos-proxy.ts'
import { requirePrometheus } from '../support/prometheus.ts'
import { createRandom } from '../support/random.ts'
import { until } from '../support/until.ts'
import { buildPrograms } from '../support/programs.ts'

const clock = systemClock
const TIME_SCALE = 0.1
const CHAOS_MS = 60_000
const SWITCH_EVERY_MS = 12_000
const CHANCES = { late: 0.2, lost: 0.05, unanswered: 0.05, truncated: 0.05, half_open: 0.02 }
const ADMIN = 'glpat-administrator'

/** As people do it: the tag is to be on `cluster` for the next two minutes. */
async function pin({ gitlab }: Stage, cluster: string): Promise<void> {
  const file = `${gitlab.url}/api/v4/projects/${HADR_PROJECT_ID}/repository/files/control.json`
  const exists = gitlab.state.readFile(HADR_PROJECT_ID, 'main', 'control.json') !== undefined
  const wish = { to: cluster, until: new Date(gitlab.state.nowMs() + 120_000).toISOString(), by: 'ann', why: 'chaos' }
  const answer = await fetch(file, {
    method: exists ? 'PUT' : 'POST',
    headers: { 'private-token': ADMIN, 'content-type': 'application/json' },
    body: JSON.stringify({
      branch: 'main',
      commit_message: `Serve from ${cluster}`,
      content: JSON.stringify({ schema: 1, pools: { [MAIN_TAG]: { pin: wish } } }),
    }),
    signal: AbortSignal.timeout(5000),
  })
  if (!answer.ok) throw new Error(`control.json: ${answer.status} ${await answer.text()}`)
}

t.setTimeout(480_000)

t.test(
  'a minute of broken, late, truncated and hanging connections while people switch to and fro: the tag is never with no one',
  { timeout: 480_000 },
  async t => {
    if (!(await requirePrometheus(t))) return
    const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 32))
    t.comment(`SEED=${seed}`)
    const random = createRandom(seed)
    const folder = t.testdir()
    const programs = `${folder}/dist`
    await buildPrograms(programs)
    const proxies: { gitlab: ChaosProxy[]; prometheus: ChaosProxy[] } = { gitlab: [], prometheus: [] }
    const proxied = async (server: keyof typeof proxies, target: string) => {
      const proxy = await startChaosProxy({ target, chances: CHANCES, lateMs: 300, clock, random })
      t.teardown(() => proxy.close())
      proxies[server].push(proxy)
      return proxy.url
    }
    const stage = await createStage({
      timeScale: TIME_SCALE,
      clusters: ['a', 'b'],
      runnersPerCluster: 2,
      realPrometheus: true,
      programs,
      folder: `${folder}/stage`,
      clock,
      random: Math.random,
      log: silentLog,
      reroute: async (_cluster, { gitlab, prometheus }) => ({
        gitlab: await proxied('gitlab', gitlab),
        prometheus: await proxied('prometheus', prometheus),
      }),
      signal: new AbortController().signal,
    })
    t.teardown(() => stage.close())
    const { state } = stage.gitlab
    state.addToken({ token: ADMIN, name: ADMIN, scopes: ['api'], admin: true })
    const witness = new Witness(state, stage.members, MAIN_TAG)
    t.teardown(() => witness.close())
    const beforeTags = new Map(state.runners().map(({ id, tags }) => [id, tags.filter(tag => tag !== MAIN_TAG)]))
    const gaps: string[] = []
    const moves: string[] = []
    state.onTagChange(({ runnerId }) => {
      moves.push(`${witness.clusterOf(runnerId)} → ${witness.holders().join(' and ') || 'nobody'}`)
      if (witness.holders().length === 0) gaps.push(`runner ${runnerId} was the last`)
    })

    await Promise.all(stage.clusters.map(cluster => cluster.start()))
    await until('somebody claims in spite of it all', 120_000, async () => {
      const reports = await Promise.all(stage.clusters.map(poolReport))
      return reports.some(report => report?.state === 'ACTIVE')
    })
    const startMs = clock.monotonicMs()
    const passedMs = () => clock.monotonicMs() - startMs
    // On a busy machine little fits into a minute.
    for (let turn = 0; passedMs() < CHAOS_MS || (moves.length < 2 && passedMs() < 3 * CHAOS_MS); turn++) {
      await pin(stage, turn % 2 === 0 ? 'b' : 'a')
      await clock.sleep(SWITCH_EVERY_MS)
    }

    const all = [...proxies.gitlab, ...proxies.prometheus]
    for (const mishap of MISHAPS) {
      const total = all.reduce((sum, proxy) => sum + proxy.seen[mishap], 0)
      t.ok(total > 0, `${mishap}: ${total} times`)
    }
    t.comment(moves.join('; '))
    t.ok(moves.length >= 2, 'the tag did move in the middle of it')
    t.same(gaps, [], 'no write took the tag from the last one')
    t.equal(witness.verdict(new Set()).nobodySeconds, 0, 'seconds with nobody')

    for (const proxy of all) proxy.heal()
    await pin(stage, 'a')
    const holding = () => state.runners().flatMap(({ id, tags }) => (tags.includes(MAIN_TAG) ? [id] : []))
    await until('all runners of the wished cluster hold, and no other', 60_000, () => {
      return holding().join() === stage.members['a']?.join()
    })
    t.same(gaps, [], 'nor did the clearing up')
    for (const { id, tags } of state.runners()) {
      const mine = tags.filter(tag => tag !== MAIN_TAG)
      t.same(mine, beforeTags.get(id), `runner ${id} kept its other tags`)
    }
  },
)
