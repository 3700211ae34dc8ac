import t from 'tap'
import { demandOf, queueQuery, takes } from '../../../decider/fleet/demand.ts'
import { managersOf, MANAGERS_QUERY } from '../../../decider/fleet/managers.ts'
import type { InstantResult, Labels, Sample } from '../../../lib/prometheus/answer.ts'

const NOW_MS = 1_700_000_000_000
const OPTIONS = { runnerIds: new Set([7, 8]), sampleMaxAgeMs: 45_000 }
const NOTHING_LISTED = { jobs: 0, whole: true, gaps: [] }

function series(kind: string, labels: Labels, value: number | undefined, ageMs = 0): Sample[] {
  const at = { timestampMs: NOW_MS, raw: '' }
  return [
    { ...at, labels: { __name__: kind, ...labels, hadr_kind: kind }, value },
    { ...at, labels: { ...labels, hadr_kind: `${kind}_at` }, value: (NOW_MS - ageMs) / 1000 },
  ]
}

interface Says {
  runner?: number
  jobs?: Readonly<Record<string, number>>
  limits?: readonly number[]
  concurrent?: number
  told?: number
  ageMs?: number
}

/** One pod's series: its sidecar's, and its runner's where `limits` are given. */
function pod(name: string, { runner = 7, jobs = {}, limits = [], concurrent, told, ageMs = 0 }: Says): Sample[] {
  const place = { pod_name: name, pod_namespace: 'ci', instance: `${name}:9254`, job: 'sidecars' }
  const target = { instance: `${name}:9252`, job: 'runners' }
  const system_id = `s_${name}`
  return [
    ...series('info', { ...place, runner_id: String(runner), system_id }, 1, ageMs),
    ...(told === undefined ? [] : series('told', place, told, ageMs)),
    ...limits.flatMap((limit, index) => series('limit', { ...target, system_id, runner: String(index) }, limit, ageMs)),
    ...(concurrent === undefined ? [] : series('concurrent', target, concurrent, ageMs)),
    ...Object.entries(jobs).flatMap(([stage, count]) => series('jobs', { ...target, system_id, stage }, count, ageMs)),
  ]
}

const complete = (...parts: Sample[][]): InstantResult => ({
  kind: 'complete',
  samples: parts.flat(),
  evaluatedAtMs: NOW_MS,
})
const managersIn = (...parts: Sample[][]) => {
  const reading = managersOf(complete(...parts), OPTIONS)
  return reading.known ? reading.managers : reading.why
}

t.test('jobs of all stages are added up, and slots come from concurrent', t => {
  t.match(managersIn(pod('a', { jobs: { prepare: 2, step_script: 3 }, limits: [0], concurrent: 10 })), [
    { pod: 'a', namespace: 'ci', systemIds: ['s_a'], runnerIds: [7], jobs: 5, slots: 10 },
  ])
  t.end()
})

t.test('a process that is scraped and has no series of jobs runs none', t => {
  t.match(managersIn(pod('a', { limits: [0], concurrent: 4 })), [{ jobs: 0, slots: 4 }])
  t.end()
})

t.test('limits of all sections together bound the slots, unless one has none', t => {
  t.match(managersIn(pod('a', { limits: [2, 3], concurrent: 10 })), [{ slots: 5 }])
  t.match(managersIn(pod('a', { limits: [2, 0], concurrent: 10 })), [{ slots: 10 }])
  t.end()
})

t.test('where only the sidecar is scraped it tells the jobs, and nobody the slots', t => {
  t.match(managersIn(pod('a', { told: 3 })), [{ jobs: 3, slots: undefined }])
  t.match(managersIn(pod('a', { told: 1, jobs: { step_script: 2 }, limits: [0], concurrent: 4 })), [{ jobs: 2 }])
  t.end()
})

t.test('a pod without any series of its jobs is unknown, not idle', t => {
  t.match(managersIn(pod('a', {})), [{ jobs: undefined, slots: undefined }])
  t.end()
})

t.test('stale samples and pods of other runners do not count', t => {
  t.match(managersIn(pod('a', { told: 1, ageMs: 46_000 })), /no fresh sample/)
  t.match(managersIn(pod('a', { told: 1, runner: 99 })), /no fresh sample/)
  t.equal(
    managersIn(pod('a', { told: 1 }), pod('b', { told: 1, runner: 8 }), pod('c', { told: 1, runner: 9 })).length,
    2,
  )
  t.end()
})

t.test('an empty and a failed answer are unknown, a partial one is not whole', t => {
  t.match(managersOf({ kind: 'empty' }, OPTIONS), { known: false })
  t.match(managersOf({ kind: 'unavailable', message: 'down' }, OPTIONS), { known: false, why: /down/ })
  const samples = pod('a', { told: 1 })
  const partial = { kind: 'partial' as const, samples, evaluatedAtMs: NOW_MS, warnings: ['x'] }
  t.match(managersOf(partial, OPTIONS), { known: true, whole: false })
  t.end()
})

const scraped = () => managersOf(complete(pod('a', { limits: [0], concurrent: 4, jobs: { script: 2 } })), OPTIONS)
const queue = (...seconds: [string, number][]): InstantResult => ({
  kind: 'complete',
  evaluatedAtMs: NOW_MS,
  samples: seconds.map(([system_id, value]) => ({ labels: { system_id }, value, raw: '', timestampMs: NOW_MS })),
})

t.test('seconds waited per second are the jobs that waited, by Little’s law', t => {
  const demand = demandOf(scraped(), queue(['s_a', 3.4], ['s_another', 50]), NOTHING_LISTED, false)
  t.match(demand, { running: 2, pending: 3, whole: true, gaps: [] })
  t.end()
})

t.test('the larger of listed and waited counts', t => {
  const listed = { jobs: 9, whole: true, gaps: [] }
  t.match(demandOf(scraped(), queue(['s_a', 3]), listed, true), { pending: 9, whole: true })
  t.match(demandOf(scraped(), queue(['s_a', 30]), listed, true), { pending: 30 })
  t.end()
})

t.test('a demand is not whole without a source of waiting jobs, a project’s answer or a manager’s jobs', t => {
  const failed: InstantResult = { kind: 'unavailable', message: 'down' }
  t.match(demandOf(scraped(), failed, NOTHING_LISTED, false), { whole: false, gaps: [/waiting jobs/] })
  t.match(demandOf(scraped(), failed, NOTHING_LISTED, true), { whole: true })
  t.match(demandOf(scraped(), { kind: 'empty' }, NOTHING_LISTED, false), { whole: true, pending: 0 })
  const told = managersOf(complete(pod('a', { told: 1 })), OPTIONS)
  t.match(demandOf(told, { kind: 'empty' }, NOTHING_LISTED, false), { whole: false }, 'the runner is not scraped')
  t.match(demandOf(scraped(), failed, { jobs: 1, whole: false, gaps: ['403'] }, true), { whole: false, gaps: ['403'] })
  t.match(demandOf(scraped(), failed, { jobs: 1000, whole: false, gaps: [] }, true), { whole: false, pending: 1000 })
  const unknown = managersOf(complete(pod('a', {})), OPTIONS)
  t.match(demandOf(unknown, failed, NOTHING_LISTED, true), { whole: false, gaps: [/no fresh sample of the jobs of a/] })
  t.end()
})

t.test('a job is taken when the runner carries each of its tags, and one without tags is left out', t => {
  const tags = new Set(['rnd-runner', 'runner-a', 'docker'])
  t.ok(takes(tags, ['rnd-runner', 'docker']))
  t.notOk(takes(tags, ['rnd-runner', 'gpu']))
  t.notOk(takes(tags, []))
  t.end()
})

t.test('the queries ask for the runners’ own metrics', t => {
  for (const name of ['gitlab_runner_jobs', 'gitlab_runner_concurrent', 'gitlab_runner_limit']) {
    t.match(MANAGERS_QUERY, `label_replace(timestamp(${name})`)
  }
  t.equal(queueQuery(120_000), 'sum by (system_id) (rate(gitlab_runner_job_queue_duration_seconds_sum[120000ms]))')
  t.end()
})
