import t, { type Test } from 'tap'
import { shortSha, type JobStatus } from '../../simulator/gitlab/model.ts'
import type { GitLabState } from '../../simulator/gitlab/state.ts'
import { startRunner } from '../../simulator/runner/runner.ts'
import { startFurnished } from '../support/gitlab.ts'

/** Runner 1 of the furnished GitLab, with the tags `runner-a` and `rnd-runner`. */
const TOKEN = 'glrt-t2_aaaaaaaaaaaa'
const POLL = '/jobs/request'

async function startBoth(t: Test, timing: { longPollMs?: number } = {}) {
  const gitlab = await startFurnished(t, { timing })
  const runner = await startRunner({ gitlabUrl: gitlab.url, tokens: [TOKEN], name: 'pod-1', checkIntervalMs: 20 })
  t.teardown(() => runner.stop('abort'))
  const metricsUntil = async (wanted: RegExp) => {
    let text = ''
    while (!wanted.test(text)) text = await (await fetch(runner.metricsUrl)).text()
    return text
  }
  return { ...gitlab, runner, metricsUntil }
}

function until(state: GitLabState, id: number, wanted: JobStatus): Promise<void> {
  return new Promise(resolve => {
    if (state.job(id).status === wanted) resolve()
    const stop = state.onJobChange(({ job, after }) => {
      if (job.id !== id || after !== wanted) return
      stop()
      resolve()
    })
  })
}

t.test('a job runs to its end, under the system id and the short token that both sides know', async t => {
  const { state, runner } = await startBoth(t)
  const { id } = state.addJob({ project: 101, tags: ['rnd-runner'], durationMs: 50 })
  await until(state, id, 'success')
  t.match(state.job(id), { runnerId: 1, systemId: runner.systemId, trace: /Job succeeded/ })
  t.ok((state.job(id).finishedAtMs ?? 0) - (state.job(id).startedAtMs ?? 0) >= 49)
  t.ok(state.runner(1).managers.has(runner.systemId))
  t.ok(runner.shortTokens[0]?.startsWith(shortSha(state.runner(1))))
})

t.test('a pending job is taken as soon as its tag comes, since GitLab ends the held request', async t => {
  const { state, metricsUntil } = await startBoth(t, { longPollMs: 50_000 })
  const { id } = state.addJob({ project: 101, tags: ['other-main'], durationMs: 0 })
  await metricsUntil(/status="204"\} 1\n/)
  await metricsUntil(/gitlab_runner_request_concurrency\{.*\} 1\n/)
  t.equal(state.job(id).status, 'pending')
  state.editRunner(1, { tags: ['runner-a', 'other-main'] })
  await until(state, id, 'success')
})

t.test('a canceled job is dropped and its slot is free again', async t => {
  const { state, runner } = await startBoth(t)
  const { id } = state.addJob({ project: 101, tags: ['runner-a'], durationMs: 600_000 })
  await until(state, id, 'running')
  state.cancelJob(id)
  const next = state.addJob({ project: 101, tags: ['runner-a'], durationMs: 0 })
  await until(state, next.id, 'success')
  await runner.stop('abort')
  t.equal(state.job(id).status, 'canceled')
})

t.test('a deleted runner stops asking after three refusals', async t => {
  const { state, metricsUntil } = await startBoth(t)
  await metricsUntil(/status="204"\}/)
  state.removeRunner(1)
  const text = await metricsUntil(/gitlab_runner_worker_feed_failures_total\{/)
  t.match(text, /gitlab_runner_worker_health_check_failures_total\{.*\} 3\n/)
  t.equal(state.count({ route: POLL, status: 403 }), 3)
})
