import t, { type Test } from 'tap'
import { startJobWatch } from '../../decider/jobs/watch.ts'
import { WATCH_TIMING } from '../../lib/kubernetes/watch.ts'
import { systemClock } from '../../lib/service/clock.ts'
import { silentLog } from '../../lib/service/log.ts'
import { addJobPod, jobPodObject } from '../../simulator/kubernetes/job-pod.ts'
import type { SimulatedKubernetes } from '../../simulator/kubernetes/server.ts'
import { open, startApi } from '../support/kubernetes.ts'
import { createRandom } from '../support/random.ts'
import { until } from '../support/until.ts'

const NAMESPACE = 'ci'
const START = Date.UTC(2026, 0, 1)
const FAST = { ...WATCH_TIMING, minBackoffMs: 20, maxBackoffMs: 200 }

async function watch(t: Test, api: SimulatedKubernetes, selector = 'job.runner.gitlab.com/pod') {
  const { connection } = await open(t, api)
  const ended: { jobId: number; endMs: number }[] = []
  const started = startJobWatch({
    connection,
    namespaces: [NAMESPACE],
    selector,
    clock: systemClock,
    random: createRandom(1),
    log: silentLog,
    timing: FAST,
    onEnded: ({ job }, endMs) => ended.push({ jobId: job.id, endMs }),
  })
  t.teardown(() => started.stop())
  const seen = (jobIds: readonly number[]) =>
    until(`the end of ${jobIds.join()}`, 10_000, () => ended.map(({ jobId }) => jobId).join() === jobIds.join())
  return { watch: started, ended, seen }
}

const add = (api: SimulatedKubernetes, jobId: number, more: { legacy?: boolean } = {}) =>
  addJobPod(api.state, { namespace: NAMESPACE, jobId, projectId: 1, ...more })

t.test('a job’s pod is found while it runs and told once when it ends, by its phase or by its deletion', async t => {
  const api = await startApi(t)
  const { watch: jobs, ended, seen } = await watch(t, api)
  const first = add(api, 1)
  first.start(START)
  await until('the running pod', 10_000, () => jobs.running(1)?.pod.name === first.name)
  first.finish(START + 60_000)
  await seen([1])
  t.equal(ended[0]?.endMs, START + 60_000)
  t.equal(jobs.running(1), undefined)
  first.remove()

  const second = add(api, 2)
  second.start(START)
  await until('the running pod', 10_000, () => jobs.runningPods === 1)
  const beforeMs = Date.now()
  second.remove()
  await seen([1, 2])
  t.ok((ended[1]?.endMs ?? 0) >= beforeMs, 'nobody saw its containers end, so that it ended now')
  t.type(jobs.silentForMs()[NAMESPACE], 'number')
})

t.test('a pod that never started and one that is no job’s are never told of', async t => {
  const api = await startApi(t)
  const { watch: jobs, seen } = await watch(t, api)
  const unstarted = add(api, 1)
  const stranger = jobPodObject({ namespace: NAMESPACE, jobId: 2, projectId: 1 })
  const metadata = { ...(stranger['metadata'] as object), annotations: {} }
  api.state.put('pods', { ...stranger, metadata, status: { phase: 'Failed' } })
  const third = add(api, 3)
  third.start(START)
  await until('the running pod', 10_000, () => jobs.running(3) !== undefined)
  unstarted.remove()
  third.remove()
  await seen([3])
})

t.test('what ended before is caught up with, and a broken watch tells nothing twice', async t => {
  const api = await startApi(t)
  const old = add(api, 1)
  old.start(START)
  old.finish(START + 1000)
  const running = add(api, 2)
  running.start(START)
  const { seen, ended } = await watch(t, api)
  await seen([1])
  await api.stop()
  api.state.forgetHistory()
  running.remove()
  await api.start()
  await seen([1, 2])
  t.equal(ended.length, 2)
})

t.test('pods of GitLab Runner before 17.9 are found by their old label', async t => {
  const api = await startApi(t)
  const { watch: jobs, seen } = await watch(t, api, 'pod')
  const pod = add(api, 7, { legacy: true })
  pod.start(START)
  await until('the running pod', 10_000, () => jobs.running(7) !== undefined)
  pod.remove()
  await seen([7])
})
