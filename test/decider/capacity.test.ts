import fc from 'fast-check'
import t from 'tap'
import { capacityOf, capacityQuery } from '../../decider/observe/capacity.ts'
import type { RunnerView } from '../../decider/model.ts'
import type { InstantResult, Labels, Sample } from '../../lib/prometheus/answer.ts'

const NOW_MS = 1_700_000_000_000
const MAX_AGE_MS = 45_000

const runner = (id: number, more: Partial<RunnerView> = {}): RunnerView => ({
  id,
  cluster: 'a',
  tagged: true,
  paused: false,
  online: true,
  contactedAtMs: null,
  ...more,
})

function sample(kind: string, labels: Labels, value: number | undefined): Sample {
  return { labels: { ...labels, hadr_kind: kind }, timestampMs: NOW_MS, value, raw: String(value) }
}

/** Both parts that the query gives of one series: its value and the time of its sample. */
function series(kind: string, labels: Labels, value: number | undefined, ageMs = 0): Sample[] {
  const name = { __name__: `gitlab_runner_hadr_sidecar_${kind}` }
  return [
    sample(kind, { ...name, ...labels }, value),
    sample(`${kind}_at`, { instance: '', ...labels }, (NOW_MS - ageMs) / 1000),
  ]
}

interface PodSays {
  available?: number | undefined
  ids?: readonly (number | string)[]
  ageMs?: number
  namespace?: string
  target?: string
}

/** What the sidecar of one pod says; a missing field is a missing series. */
function pod(name: string, says: PodSays): Sample[] {
  const labels = { instance: '', pod_name: name, pod_namespace: says.namespace ?? 'ci', target: says.target ?? name }
  return [
    ...('available' in says ? series('available', labels, says.available, says.ageMs) : []),
    ...(says.ids ?? []).flatMap(id => series('info', { ...labels, runner_id: String(id) }, 1, says.ageMs)),
  ]
}

const target = (instance: string, value: number | undefined, ageMs = 0) => series('up', { instance }, value, ageMs)
const complete = (...parts: Sample[][]): InstantResult => ({
  kind: 'complete',
  samples: parts.flat(),
  evaluatedAtMs: NOW_MS,
})
const partial = (...parts: Sample[][]): InstantResult => ({
  kind: 'partial',
  samples: parts.flat(),
  evaluatedAtMs: NOW_MS,
  warnings: ['a store is down'],
})
const counts = (available: number, total: number, servingIds: number[], unknownPods = 0) => ({
  known: true,
  available,
  unknownPods,
  total,
  desired: null,
  servingIds,
})
const UNKNOWN = { known: false }

const cases: [name: string, result: InstantResult, expected: object, runners?: RunnerView[]][] = [
  [
    'pods are counted, not the runner that they share',
    complete(pod('p1', { available: 1, ids: [10] }), pod('p2', { available: 1, ids: [10] })),
    counts(2, 2, [10]),
  ],
  [
    'a pod that says it is unavailable is known to be so',
    complete(pod('p1', { available: 1, ids: [10] }), pod('p2', { available: 0, ids: [11] })),
    counts(1, 2, [10]),
  ],
  ['all unavailable is a known zero', complete(pod('p1', { available: 0, ids: [10] })), counts(0, 1, [])],
  [
    'a sample of exactly the greatest age is fresh',
    complete(pod('p1', { available: 1, ids: [10], ageMs: MAX_AGE_MS })),
    counts(1, 1, [10]),
  ],
  [
    'an older one makes its pod unknown, not unavailable, and does not drop it',
    complete(pod('p1', { available: 1, ids: [10] }), pod('p2', { available: 1, ids: [11], ageMs: MAX_AGE_MS + 1 })),
    counts(1, 2, [10], 1),
  ],
  [
    'with all samples stale nothing is proven',
    complete(
      pod('p1', { available: 1, ids: [10], ageMs: 200_000 }),
      pod('p2', { available: 0, ids: [10], ageMs: 9e5 }),
    ),
    counts(0, 2, [], 2),
  ],
  [
    'NaN is unknown',
    complete(pod('p1', { available: undefined, ids: [10] }), pod('p2', { available: 1, ids: [11] })),
    counts(1, 2, [11], 1),
  ],
  [
    'a pod that names its runner but not its availability is unknown',
    complete(pod('p1', { ids: [10] }), pod('p2', { available: 1, ids: [11] })),
    counts(1, 2, [11], 1),
  ],
  [
    'a pod that does not name its runner counts for nobody',
    complete(pod('p1', { available: 1 }), pod('p2', { available: 1, ids: [11] })),
    counts(1, 1, [11]),
  ],
  ['and alone says nothing at all', complete(pod('p1', { available: 1 })), UNKNOWN],
  [
    'a pod of another pool’s runners does not count',
    complete(pod('p1', { available: 1, ids: [77] }), pod('p2', { available: 1, ids: [11] })),
    counts(1, 1, [11]),
  ],
  ['only pods of other pools: unknown', complete(pod('p1', { available: 1, ids: [77] }), target('p1', 1)), UNKNOWN],
  [
    'a pod with several runner entities counts once and serves for those of this pool',
    complete(pod('p1', { available: 1, ids: [11, 10, 77] })),
    counts(1, 1, [10, 11]),
  ],
  [
    'a pod whose runner is paused takes no jobs',
    complete(pod('p1', { available: 1, ids: [10] }), pod('p2', { available: 1, ids: [11] })),
    counts(1, 2, [11]),
    [runner(10, { paused: true }), runner(11)],
  ],
  [
    'one paused runner of two leaves a pod available for the other',
    complete(pod('p1', { available: 1, ids: [10, 11] })),
    counts(1, 1, [11]),
    [runner(10, { paused: true }), runner(11)],
  ],
  [
    'two series of one pod that agree are one pod',
    complete(
      pod('p1', { available: 1, ids: [10], target: 'old' }),
      pod('p1', { available: 1, ids: [10], target: 'new' }),
    ),
    counts(1, 1, [10]),
  ],
  [
    'two that differ prove nothing',
    complete(
      pod('p1', { available: 1, ids: [10], target: 'old' }),
      pod('p1', { available: 0, ids: [10], target: 'new' }),
    ),
    counts(0, 1, [], 1),
  ],
  [
    'nor do three, whatever their order',
    complete(
      pod('p1', { available: 1, ids: [10], target: 'x' }),
      pod('p1', { available: 0, ids: [10], target: 'y' }),
      pod('p1', { available: 1, ids: [10], target: 'z' }),
    ),
    counts(0, 1, [], 1),
  ],
  [
    'a stale series beside a fresh one of the same pod has no say',
    complete(
      pod('p1', { available: 0, ids: [10], target: 'old', ageMs: 60_000 }),
      pod('p1', { available: 1, ids: [11], target: 'new' }),
    ),
    counts(1, 1, [11]),
  ],
  [
    'equal names in two namespaces are two pods',
    complete(
      pod('p1', { available: 1, ids: [10] }),
      pod('p1', { available: 1, ids: [10], namespace: 'other', target: 'other' }),
    ),
    counts(2, 2, [10]),
  ],
  [
    'what is no runner id names no runner',
    complete(pod('p1', { available: 1, ids: ['', 'ten', '0', '-10', '10.5', '1e99', ' '] })),
    UNKNOWN,
  ],
  [
    'partial data prove "at least", never "no more than"',
    partial(pod('p1', { available: 1, ids: [10] })),
    counts(1, 1, [10], 1),
  ],
  ['partial data without a pod prove nothing', partial(target('p1', 0)), UNKNOWN],
  ['partial data without anything prove nothing', partial(), UNKNOWN],
  ['all targets down and no pod is a known zero', complete(target('p1', 0), target('p2', 0)), counts(0, 2, [])],
  ['one of the targets up: unknown', complete(target('p1', 0), target('p2', 1)), UNKNOWN],
  ['targets that were down long ago prove nothing now', complete(target('p1', 0, MAX_AGE_MS + 1)), UNKNOWN],
  ['one of them seen lately, one long ago: unknown', complete(target('p1', 0), target('p2', 0, 60_000)), UNKNOWN],
  ['a target with no number proves nothing', complete(target('p1', undefined)), UNKNOWN],
  ['no series at all is not zero', { kind: 'empty' }, UNKNOWN],
  ['a refused query is not zero', { kind: 'bad_query', message: 'parse error', status: 400 }, UNKNOWN],
  ['a failed query is not zero', { kind: 'unavailable', message: 'HTTP 503', status: 503 }, UNKNOWN],
  ['nonsense is not zero', { kind: 'invalid_answer', message: 'HTML' }, UNKNOWN],
]

for (const [name, result, expected, runners = [runner(10), runner(11)]] of cases) {
  t.test(name, t => {
    const capacity = capacityOf(result, { runners, sampleMaxAgeMs: MAX_AGE_MS })
    if (expected === UNKNOWN) t.match(capacity, { known: false, why: /./ })
    else t.strictSame(capacity, expected)
    t.end()
  })
}

t.test('without runners of its own nothing is known', t => {
  const result = complete(pod('p1', { available: 1, ids: [10] }))
  t.match(capacityOf(result, { runners: [], sampleMaxAgeMs: MAX_AGE_MS }), UNKNOWN)
  t.end()
})

t.test('the order of the series is of no account, and no answer makes it throw', t => {
  const says = fc.record(
    {
      available: fc.constantFrom(0, 1, 2, undefined),
      ids: fc.array(fc.constantFrom(10, 11, 77, 'x'), { maxLength: 3 }),
      ageMs: fc.constantFrom(0, MAX_AGE_MS, MAX_AGE_MS + 1),
      target: fc.constantFrom('old', 'new', 'newer'),
    },
    { requiredKeys: [] },
  )
  const pods = fc.array(fc.tuple(fc.constantFrom('p1', 'p2', 'p3'), says), { maxLength: 6 })
  const runners = fc.array(
    fc.record({ id: fc.constantFrom(10, 11), paused: fc.boolean() }).map(({ id, paused }) => runner(id, { paused })),
    { maxLength: 2 },
  )
  fc.assert(
    fc.property(pods, runners, fc.boolean(), fc.infiniteStream(fc.nat(99)), (pods, runners, whole, keys) => {
      const samples = pods.flatMap(([name, said]) => pod(name, said))
      const order = new Map(samples.map(one => [one, Number(keys.next().value)]))
      const shuffled = [...samples].sort((a, b) => (order.get(a) ?? 0) - (order.get(b) ?? 0))
      const of = (samples: Sample[]) =>
        capacityOf((whole ? complete : partial)(samples), { runners, sampleMaxAgeMs: MAX_AGE_MS })
      const capacity = of(samples)
      t.strictSame(of(shuffled), capacity)
      if (!capacity.known) return
      const { available, unknownPods, total, servingIds } = capacity
      if (available < 0 || available > total || unknownPods < 0) throw new Error('impossible numbers')
      if (servingIds.some(id => runners.every(one => one.id !== id || one.paused))) throw new Error('a strange runner')
    }),
    { numRuns: 300 },
  )
  t.end()
})

t.test('the query quotes the pattern of jobs', t => {
  t.match(capacityQuery('a"b\\'), 'up{job=~"a\\"b\\\\"}')
  t.end()
})
