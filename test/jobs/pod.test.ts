import { readFileSync } from 'node:fs'
import t from 'tap'
import { quantityOf, readJobPod } from '../../decider/jobs/pod.ts'
import type { KubernetesObject } from '../../lib/kubernetes/types.ts'
import { createKubernetes } from '../../simulator/kubernetes/core.ts'
import { addJobPod, jobPodObject } from '../../simulator/kubernetes/job-pod.ts'

const START = Date.UTC(2026, 0, 1)

function playedPod(play: (pod: ReturnType<typeof addJobPod>) => void, options = {}): KubernetesObject {
  const core = createKubernetes()
  const { state } = core
  const added = addJobPod(state, { namespace: 'ci', jobId: 9981, projectId: 4711, ...options })
  play(added)
  const pod = state.get('pods', 'ci', added.name)
  core.close()
  return pod as unknown as KubernetesObject
}

t.test('a pod of a job tells its job, its project and its containers', t => {
  const pod = playedPod(added => added.start(START), {
    jobName: 'unit tests 1/3',
    containers: [{ name: 'build', limits: { cpu: '1500m', memory: '2Gi' } }, { name: 'helper' }],
  })
  t.match(readJobPod(pod), {
    job: { id: 9981, projectId: 4711, name: 'unit tests 1/3', ref: 'main', url: /jobs\/9981$/ },
    pod: { namespace: 'ci', name: /^runner-pxy12abcd-project-4711-concurrent-0-/, node: 'node-1' },
    startedMs: START,
    finishedMs: undefined,
    ended: false,
    containers: [
      { name: 'build', limits: { cpuCores: 1.5, memoryBytes: 2 ** 31 }, restarts: 0, oomKilled: false, exitCode: null },
      { name: 'helper', limits: {} },
    ],
  })
  t.end()
})

t.test('a pod of GitLab Runner before 17.9 is understood, as recorded from a real API server', t => {
  const file = 'test/recordings/kubernetes/admission-reviews/job-17.8-spoofed.json'
  const recording = JSON.parse(readFileSync(file, 'utf8')) as { body: { request: { object: KubernetesObject } } }
  const { object } = recording.body.request
  object.metadata = { ...object.metadata, namespace: 'ci', uid: 'u' }
  t.match(readJobPod(object), { job: { id: 9981, projectId: 4711, name: 'unit tests 1/3' }, startedMs: undefined })
  t.end()
})

t.test('an end is told with its time, its exit codes and who ran out of memory', t => {
  const pod = playedPod(added => {
    added.start(START)
    added.finish(START + 60_000, { oomKilled: 'build' })
  })
  t.match(readJobPod(pod), {
    ended: true,
    startedMs: START,
    finishedMs: START + 60_000,
    containers: [
      { name: 'build', oomKilled: true, exitCode: 137 },
      { name: 'helper', oomKilled: false, exitCode: 0 },
    ],
  })
  t.end()
})

t.test('what is no pod of a job, or pretends to be another project’s, is left alone', t => {
  const plain = jobPodObject({ namespace: 'ci', jobId: 1, projectId: 2 })
  const changed = (change: (annotations: Record<string, string>, labels: Record<string, string>) => void) => {
    const object = structuredClone(plain) as unknown as KubernetesObject
    object.metadata = { ...object.metadata, uid: 'u' }
    change(object.metadata.annotations as Record<string, string>, object.metadata.labels as Record<string, string>)
    return readJobPod(object)
  }
  t.match(
    changed(() => undefined),
    { job: { id: 1, projectId: 2 } },
  )
  for (const id of ['', '0', '-1', '1e3', '1/../2', '99999999999999999999'])
    t.equal(
      changed(annotations => (annotations['job.runner.gitlab.com/id'] = id)),
      undefined,
      id,
    )
  t.equal(
    changed(annotations => (annotations['project.runner.gitlab.com/id'] = '3')),
    undefined,
    'the label says 2',
  )
  t.equal(readJobPod({ metadata: { name: 'x', namespace: 'ci', uid: 'u' } }), undefined)
  t.end()
})

t.test('quantities are read as Kubernetes writes them', t => {
  const cases: [unknown, number | undefined][] = [
    ['500m', 0.5],
    ['2', 2],
    [2, 2],
    ['1.5', 1.5],
    ['128Mi', 128 * 2 ** 20],
    ['1G', 1e9],
    ['1e3', 1000],
    ['100u', 1e-4],
    ['', undefined],
    ['1Q', undefined],
    ['constructor', undefined],
    [null, undefined],
  ]
  for (const [text, value] of cases) {
    const read = quantityOf(text)
    t.ok(read === value || Math.abs((read ?? 0) - (value ?? 0)) < 1e-12, String(text))
  }
  t.end()
})
