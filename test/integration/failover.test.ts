import t from 'tap'
import { poolReport } from '../../cli/demo/reports.ts'
import { type StageCluster, createStage } from '../../cli/demo/stage.ts'
import { MAIN_TAG } from '../../cli/demo/stage-options.ts'
import { Witness } from '../../cli/demo/witness.ts'
import { systemClock } from '../../lib/service/clock.ts'
import { silentLog } from '../../lib/service/log.ts'
import { requirePrometheus } from '../support/prometheus.ts'
import { statusMistakes } from '../support/status-schema.ts'
import { until } from '../support/until.ts'
import { buildPrograms } from '../support/programs.ts'

const clock = systemClock
const TIME_SCALE = 0.1
async function exposition(url: string): Promise<string> {
  const answer = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(2000) })
  return answer.text()
}

t.test(
  'cluster a is killed: its tag moves to b, a is fenced, jobs run on, and a stands by when it returns',
  { timeout: 240_000 },
  async t => {
    if (!(await requirePrometheus(t))) return
    const folder = t.testdir()
    const programs = `${folder}/dist`
    await buildPrograms(programs)
    const stage = await createStage({
      timeScale: TIME_SCALE,
      clusters: ['a', 'b'],
      runnersPerCluster: 3,
      realPrometheus: true,
      programs,
      folder: `${folder}/stage`,
      clock,
      random: Math.random,
      log: silentLog,
      signal: new AbortController().signal,
    })
    t.teardown(() => stage.close())
    const { state } = stage.gitlab
    const witness = new Witness(state, stage.members, MAIN_TAG)
    t.teardown(() => witness.close())
    const [a, b] = stage.clusters as [StageCluster, StageCluster]
    const addJob = () => state.addJob({ project: stage.ciProjectId, tags: [MAIN_TAG], durationMs: 10_000 })

    await a.start()
    await until('a claims', 60_000, async () => (await poolReport(a))?.state === 'ACTIVE')
    await b.start()
    await until('b stands by, knowing its strength', 60_000, async () => {
      const report = await poolReport(b)
      return report?.state === 'STANDBY' && report.clusters.every(cluster => cluster.available === 3)
    })
    await t.test('the decider serves its page and a status that follows the published schema', async t => {
      const page = await fetch(`${b.deciderUrl}/`, { signal: AbortSignal.timeout(5000) })
      t.match(page.headers.get('content-security-policy'), /^default-src 'none'; script-src 'sha256-/)
      t.match(await page.text(), /<title>Who serves\?<\/title>/)
      const status = await fetch(`${b.deciderUrl}/status`, { signal: AbortSignal.timeout(5000) })
      t.strictSame(statusMistakes(await status.json()), [])
    })
    const first = addJob()
    await until('a job runs on a', 30_000, () => first.runnerId !== null)
    t.equal(witness.clusterOf(first.runnerId ?? 0), 'a')

    await t.test('the sidecars tell Prometheus what the decider needs', async t => {
      for (const url of [...a.sidecarUrls, ...b.sidecarUrls]) {
        const text = await exposition(url)
        t.match(text, /^gitlab_runner_hadr_sidecar_available\{[^}]*\} 1$/m)
        t.match(text, /^gitlab_runner_hadr_sidecar_runner_info\{[^}]*runner_id="\d+"[^}]*\} 1$/m)
        t.match(text, /^gitlab_runner_hadr_sidecar_online_status\{[^}]*\} 1$/m)
      }
    })

    const requestsBefore = state.count()
    await a.kill()
    const waiting = [addJob(), addJob(), addJob()]
    t.same(witness.holders(), ['a'], 'GitLab still thinks that a serves')
    await until('the main tag on b', 60_000, () => witness.holders().includes('b'))
    await until('a is fenced', 60_000, () => witness.holders().join() === 'b')
    await until('waiting jobs run on b', 30_000, () => waiting.every(job => job.runnerId !== null))
    t.same([...new Set(waiting.map(job => witness.clusterOf(job.runnerId ?? 0)))], ['b'])
    t.ok(state.count() > requestsBefore)
    t.equal(witness.verdict(new Set()).nobodySeconds, 0, 'the tag was never with no one')

    const changes = state.tagHistory.length
    await a.start()
    await until('a stands by', 60_000, async () => {
      const report = await poolReport(a)
      return report?.state === 'STANDBY' && report.clusters.every(cluster => cluster.available === 3)
    })
    await clock.sleep(60_000 * TIME_SCALE)
    t.equal(state.tagHistory.length, changes, 'an equally strong cluster that returns moves nothing')
    t.same(witness.holders(), ['b'])
    t.equal((await poolReport(b))?.state, 'ACTIVE')
    t.ok(state.readFile(101, 'hadr-history', 'rnd-runner/2-b.json'), 'the switch is in the audit log')
  },
)
