import t from 'tap'
import type { Alert } from '../../decider/model.ts'
import { type Facts, problemsOf, verdictOf } from '../../decider/status/problems.ts'
import type { ClusterReport } from '../../decider/status/report.ts'

function cluster(name: string, more: Partial<ClusterReport> = {}): ClusterReport {
  return {
    name,
    tag: `runner-${name}`,
    self: name === 'a',
    active: false,
    epoch: 1,
    score: 3,
    available: 3,
    total: 3,
    desired: null,
    reason: 'STANDBY',
    runners: 3,
    holding: 0,
    presence: 'known',
    live: true,
    proven: true,
    heartbeatAgeSeconds: 4,
    effective: false,
    ...more,
  }
}
const serving: Partial<ClusterReport> = { holding: 3, active: true, effective: true }

/** The verdict, then each problem as a line. */
function told(clusters: ClusterReport[], more: Partial<Facts> = {}): string[] {
  const holders = clusters.filter(({ holding }) => holding > 0).map(({ name }) => name)
  const facts: Facts = {
    mainTag: 'rnd-runner',
    clusters,
    holders,
    alerts: [],
    atMs: 0,
    nowMs: 5000,
    gitlabWhy: undefined,
    ownWhy: undefined,
    ...more,
  }
  const problems = problemsOf(facts)
  return [verdictOf(facts, problems.length), ...problems.map(({ level, text }) => `${level}: ${text}`)]
}

const GOOD = [cluster('a', serving), cluster('b')]

t.test('one cluster serves and another one could: all is well', t => {
  t.strictSame(told(GOOD), ['ok'])
  t.end()
})

t.test('nobody holds: that comes first', t => {
  t.strictSame(told([cluster('a'), cluster('b')], { ownWhy: 'Prometheus: 503' }), [
    'nobody',
    'critical: No runner carries rnd-runner, so its jobs wait.',
    'warning: How many runners this cluster has is not known (Prometheus: 503).',
  ])
  t.end()
})

t.test('a holder that cannot serve is critical, and says why', t => {
  const cases: [string, Partial<ClusterReport>][] = [
    ['nobody there answers', { live: false, score: 0 }],
    ['none of its runners can take jobs', { score: 0, active: true }],
    ['it does not claim to serve', { active: false }],
    ['it is not seen serving', { active: true }],
    ['its decider has never been heard of', { presence: 'absent', live: false }],
    ['its status file cannot be read', { presence: 'unknown', live: false }],
  ]
  for (const [why, more] of cases) {
    t.strictSame(
      told([cluster('a', { holding: 2, ...more }), cluster('b')]),
      ['degraded', `critical: Cluster a carries rnd-runner, but ${why}.`],
      why,
    )
  }
  t.end()
})

t.test('two holders are a warning, also when one of them is dead', t => {
  t.strictSame(told([cluster('a', serving), cluster('b', serving), cluster('c')]), [
    'degraded',
    'warning: Clusters a and b carry rnd-runner at once; normal for a moment while it moves.',
  ])
  t.match(told([cluster('a', serving), cluster('b', { holding: 1, live: false }), cluster('c')]), [
    'degraded',
    /^warning: Clusters a and b/,
    'warning: Cluster b carries rnd-runner, but nobody there answers.',
  ])
  t.end()
})

t.test('nobody left to take over is a warning with a reason for each cluster', t => {
  const others = [
    cluster('b', { live: false, score: 0 }),
    cluster('c', { score: 0 }),
    cluster('d', { presence: 'absent', live: false, score: 0 }),
    cluster('e', { presence: 'unknown', live: false, score: 0 }),
  ]
  t.strictSame(told([cluster('a', serving), ...others]), [
    'degraded',
    'warning: No other cluster could take over now (b: silent; c: no runner can take jobs; d: its decider has never been heard of; e: its status file cannot be read).',
  ])
  t.strictSame(told([cluster('a', serving), ...others, cluster('f')]), ['ok'], 'one is enough')
  t.end()
})

t.test('an unreadable GitLab is a warning, and before the first read nobody is said to hold or not to', t => {
  t.strictSame(told(GOOD, { gitlabWhy: 'HTTP 502' }), [
    'degraded',
    'warning: GitLab cannot be read (HTTP 502). Nothing moves until it can. What is shown is what was read last.',
  ])
  t.strictSame(told([], { gitlabWhy: 'HTTP 502' }), [
    'degraded',
    'warning: GitLab cannot be read (HTTP 502). Nothing moves until it can.',
  ])
  t.end()
})

t.test('a decider that hangs is told with the seconds since it looked', t => {
  t.strictSame(told(GOOD, { atMs: 1000, nowMs: 91_000 }), [
    'degraded',
    'warning: This decider has not looked for 90 s; see its log.',
  ])
  t.end()
})

t.test('every alert has its sentence', t => {
  const alerts: [Alert, RegExp][] = [
    [
      { kind: 'config_mismatch', clusters: ['b', 'c'] },
      /^warning: This pool is configured otherwise in cluster b and c;/,
    ],
    [{ kind: 'foreign_main_tag', runnerIds: [7] }, /^warning: A runner of no cluster carries rnd-runner: 7\./],
    [{ kind: 'unreadable_file', cluster: 'b', why: 'schema' }, /status file of cluster b .*\(schema\)/],
    [{ kind: 'unreadable_control', why: '/pools' }, /control\.json .*\(\/pools\)/],
    [{ kind: 'peer_decider_down', cluster: 'b' }, /decider of cluster b is silent/],
    [{ kind: 'pin_refused', to: 'b', why: 'it is dead' }, /pin to cluster b is not obeyed: it is dead\./],
    [{ kind: 'cannot_publish', forMs: 61_200 }, /could not publish its status for 61 s/],
  ]
  for (const [alert, sentence] of alerts) t.match(told(GOOD, { alerts: [alert] }), ['degraded', sentence], alert.kind)
  t.end()
})
