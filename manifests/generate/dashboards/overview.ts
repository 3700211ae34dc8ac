import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { STATES, type State } from '../../../decider/model.ts'
import { dashboard } from './dashboard.ts'
import { jobs } from './jobs.ts'
import { COLORS, series, stat, timeline, words } from './panels.ts'

const decider = (name: string) => `gitlab_runner_hadr_decider_${name}`
/** Of two replicas one leads and tells; after a change of leaders both may be in the window. */
const ofPool = (name: string) => `max by (pool) (${decider(name)}{pool=~"$pool"})`
const ofCluster = (name: string) => `max by (pool, cluster) (${decider(name)}{pool=~"$pool"})`

const STATE_WORDS: Readonly<Record<State, readonly [text: string, state: keyof typeof COLORS]>> = {
  HOLD: ['GitLab unreadable', 'warning'],
  CONFIG_MISMATCH: ['configurations differ', 'bad'],
  PAUSED: ['paused', 'warning'],
  STANDBY: ['stands by', 'neutral'],
  WAITING: ['waits', 'warning'],
  PROMOTING: ['takes over', 'warning'],
  LAST_RESORT: ['takes over blindly', 'bad'],
  ACTIVE: ['serves', 'good'],
  DEMOTING: ['hands over', 'warning'],
  PEER_DECIDER_DOWN: ["a peer's decider is silent", 'warning'],
}
/** A timeline draws numbers, so the state that is 1 becomes its place in the list. */
const stateNumber = `max by (pool) (${STATES.map(
  (state, index) => `${decider('state')}{pool=~"$pool",state="${state}"} * ${index}`,
).join(' or ')})`
const stateWords = words(Object.fromEntries(STATES.map((state, index) => [index, STATE_WORDS[state]])))

const top = [
  stat({
    title: 'Who holds the main tag',
    description: 'Clusters with an unpaused runner that carries the main tag, as GitLab was last read.',
    queries: [{ expr: `${ofCluster('holding_runners')} > 0`, legend: '{{pool}}: {{cluster}}' }],
    text: 'name',
    thresholds: [COLORS.bad, { from: 1, color: COLORS.good }],
    noValue: 'NOBODY',
    width: 6,
  }),
  stat({
    title: 'Exactly one?',
    description: 'Nobody: jobs wait. Several: normal for seconds while the tag moves; later it costs caches.',
    queries: [{ expr: ofPool('holders'), legend: '{{pool}}' }],
    text: 'both',
    mappings: words({ 0: ['NOBODY', 'bad'], 1: ['yes', 'good'] }, { value: 2, text: 'several', state: 'warning' }),
    thresholds: [COLORS.bad],
    noValue: 'no decider',
    width: 4,
  }),
  stat({
    title: 'Could another one take over?',
    description: 'Clusters with at least one runner that takes jobs. With one alone, its death stops CI.',
    queries: [{ expr: `sum by (pool) (${ofCluster('score')} >= bool 1)`, legend: '{{pool}}' }],
    text: 'both',
    mappings: words({ 0: ['NONE SERVES', 'bad'], 1: ['no', 'warning'] }, { value: 2, text: 'yes', state: 'good' }),
    thresholds: [COLORS.bad],
    noValue: 'no decider',
    width: 4,
  }),
  stat({
    title: "This cluster's decider",
    description: 'What the decider does that this Prometheus scrapes. Each cluster has its own.',
    queries: [{ expr: stateNumber, legend: '{{pool}}' }],
    text: 'both',
    mappings: stateWords,
    thresholds: [COLORS.bad],
    noValue: 'SILENT',
    width: 6,
  }),
  stat({
    title: 'Alerts',
    description: 'Alerts of manifests/prometheus/rules.yaml that fire; zero also where they are not installed.',
    queries: [{ expr: 'count(ALERTS{alertname=~"Hadr.+",alertstate="firing"}) or vector(0)', legend: 'alerts' }],
    text: 'value',
    thresholds: [COLORS.good, { from: 1, color: COLORS.bad }],
    width: 4,
  }),
  timeline({
    title: 'Who held the main tag when',
    description: 'The number is that of the unpaused runners that carry it.',
    queries: [{ expr: ofCluster('holding_runners'), legend: '{{pool}}: {{cluster}}' }],
    mappings: words({ 0: ['–', 'nothing'] }),
    thresholds: [COLORS.nothing, { from: 1, color: COLORS.good }],
    width: 24,
  }),
  timeline({
    title: "What this cluster's decider did",
    description: 'Its states are explained in docs/decider.md. A gap: no decider led, or none was scraped.',
    queries: [{ expr: stateNumber, legend: '{{pool}}' }],
    mappings: stateWords,
    width: 24,
    height: 4,
  }),
]

const strength = [
  series({
    title: 'Strength',
    description: 'As this decider reckons: weight × runners that take jobs, or × percent of those wanted; 0 is dead.',
    queries: [{ expr: ofCluster('score'), legend: '{{pool}}: {{cluster}}' }],
    width: 12,
  }),
  series({
    title: 'Runners that carry the main tag',
    description: 'Runner entities in GitLab, unpaused. With glrt- tokens one entity stands for many pods.',
    queries: [{ expr: ofCluster('holding_runners'), legend: '{{pool}}: {{cluster}}' }],
    width: 12,
  }),
]

const inThisTime = (name: string, by: string) => `sum by (${by}) (increase(${decider(name)}{pool=~"$pool"}[$__range]))`
const moves = [
  stat({
    title: 'Time nobody held',
    description: 'Within the time chosen above, as far as this decider could see.',
    queries: [{ expr: inThisTime('none_holding_seconds_total', 'pool'), legend: '{{pool}}' }],
    text: 'both',
    unit: 's',
    decimals: 0,
    thresholds: [COLORS.good, { from: 1, color: COLORS.warning }, { from: 60, color: COLORS.bad }],
    width: 6,
  }),
  stat({
    title: 'Time several held',
    description: 'Within the time chosen above. Each hand-over adds some seconds.',
    queries: [{ expr: inThisTime('dual_holding_seconds_total', 'pool'), legend: '{{pool}}' }],
    text: 'both',
    unit: 's',
    decimals: 0,
    thresholds: [COLORS.good, { from: 300, color: COLORS.warning }],
    width: 6,
  }),
  stat({
    title: 'Switches, all clusters',
    description: 'By how much the epoch grew within the time chosen above; each promotion of any cluster adds one.',
    queries: [
      {
        expr: `max by (pool) (max_over_time(${decider('epoch')}{pool=~"$pool"}[$__range])) - min by (pool) (min_over_time(${decider('epoch')}{pool=~"$pool"}[$__range]))`,
        legend: '{{pool}}',
      },
    ],
    text: 'both',
    thresholds: [COLORS.good, { from: 4, color: COLORS.warning }],
    width: 6,
  }),
  stat({
    title: 'Promotions of this cluster',
    description: 'Within the time chosen above, by cause.',
    queries: [{ expr: inThisTime('switches_total', 'pool, cause'), legend: '{{pool}}: {{cause}}' }],
    text: 'both',
    decimals: 0,
    thresholds: [COLORS.neutral],
    width: 6,
  }),
]

const machinery = [
  series({
    title: 'Silence of the other clusters',
    description:
      'Since their status files last changed, while GitLab could be read. Above T_dead (55 s) runners are asked.',
    queries: [{ expr: ofCluster('peer_silence_seconds'), legend: '{{pool}}: {{cluster}}' }],
    unit: 's',
    width: 8,
  }),
  series({
    title: 'Time since GitLab was read',
    description: 'One cycle is 10 s. While GitLab cannot be read nothing moves.',
    queries: [{ expr: `time() - ${ofPool('gitlab_last_success_timestamp_seconds')}`, legend: '{{pool}}' }],
    unit: 's',
    width: 8,
  }),
  series({
    title: 'Time without knowing the own runners',
    description:
      'Prometheus did not answer, or knows of no runner. After ten minutes the cluster counts as having none.',
    queries: [{ expr: ofPool('capacity_unknown_seconds'), legend: '{{pool}}' }],
    unit: 's',
    width: 8,
  }),
  series({
    title: 'Duration of a cycle',
    description: 'Observe, decide, act. Half of the cycles, and 99 of 100, are shorter than this.',
    queries: [50, 99].map(percent => ({
      expr: `histogram_quantile(0.${percent}, sum by (le) (rate(${decider('cycle_seconds_bucket')}{pool=~"$pool"}[$__rate_interval])))`,
      legend: `p${percent}`,
    })),
    unit: 's',
    width: 8,
  }),
  series({
    title: 'Requests to GitLab',
    description: 'Of this decider, by outcome. Anything but ok that lasts deserves a look at its log.',
    queries: [
      { expr: `sum by (outcome) (rate(${decider('gitlab_requests_total')}[$__rate_interval]))`, legend: '{{outcome}}' },
    ],
    unit: 'reqps',
    stacked: true,
    width: 8,
  }),
  series({
    title: 'Writes to GitLab',
    description: 'By kind and result, per minute. Besides the heartbeats (publish) a quiet system writes nothing.',
    queries: [
      {
        expr: `60 * sum by (operation, result) (rate(${decider('operations_total')}{pool=~"$pool"}[$__rate_interval]))`,
        legend: '{{operation}} {{result}}',
      },
    ],
    width: 8,
  }),
  series({
    title: 'Runners whose main tag is not as it should be',
    description: 'By kind: missing or left over here, on a dead cluster, or on a runner of no cluster (foreign).',
    queries: [
      { expr: `max by (pool, kind) (${decider('tag_drift_runners')}{pool=~"$pool"})`, legend: '{{pool}}: {{kind}}' },
    ],
    width: 8,
  }),
  series({
    title: 'What the decider complains about',
    description: '1 while it does. Its page and log say what and whom it is about; the runbook, what to do.',
    queries: [{ expr: `max by (pool, kind) (${decider('alert')}{pool=~"$pool"})`, legend: '{{pool}}: {{kind}}' }],
    width: 8,
  }),
  series({
    title: 'Requests that GitLab still allows',
    description: 'In its current period; absent where GitLab has no limit. Near 0 it answers 429 and cycles are lost.',
    queries: [{ expr: `min(${decider('gitlab_ratelimit_remaining')})`, legend: 'requests' }],
    noValue: 'GitLab names no limit',
    width: 8,
  }),
]

/** Who holds, is anything wrong, how strong is everybody. */
export function overview(): Dashboard {
  return dashboard({
    uid: 'gitlab-runner-hadr-overview',
    title: 'gitlab-runner-hadr / Overview',
    description: 'Which cluster serves each main tag, and whether anything is wrong. As one cluster’s decider sees it.',
    variables: [{ name: 'pool', label: 'Pool', query: `label_values(${decider('state')}, pool)` }],
    from: 'now-6h',
    sections: [
      { title: '', panels: top },
      { title: 'Strength', panels: strength },
      { title: 'Moves', panels: moves },
      { title: 'Machinery', panels: machinery },
      { title: 'Metrics of jobs', panels: jobs },
    ],
  })
}
