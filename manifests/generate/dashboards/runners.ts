import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { dashboard } from './dashboard.ts'
import { COLORS, series, stat, table, timeline, words } from './panels.ts'

const HERE = 'pod_namespace=~"$namespace"'
const sidecar = (name: string) => `gitlab_runner_hadr_sidecar_${name}{${HERE}}`
const perPod = (expression: string) => `max by (pod_namespace, pod_name) (${expression})`
/** Series without a pod's labels get them from another one of the same target. */
const ofPod = (expression: string) =>
  perPod(
    `${expression} * on (job, instance) group_left (pod_namespace, pod_name) (gitlab_runner_hadr_uptime_seconds{${HERE}} >= bool 0)`,
  )
const contactAge = ofPod('(time() - gitlab_runner_hadr_sidecar_last_contact_timestamp_seconds)')
const portShare = ofPod('sum by (job, instance) (port_used) / sum by (job, instance) (port_total)')
const POD = '{{pod_namespace}}/{{pod_name}}'

const top = [
  stat({
    title: 'Verdicts',
    description:
      'Runners by what their sidecars say of them. Unknown ones do not count, but nothing is taken from them.',
    queries: [{ expr: `count by (verdict) (${sidecar('verdict_info')})`, legend: '{{verdict}}' }],
    text: 'both',
    thresholds: [COLORS.bad, { from: 1, color: COLORS.neutral }],
    noValue: 'no sidecar is scraped',
    width: 10,
  }),
  stat({
    title: 'Sidecars that cannot be read',
    description: 'Targets of the scrape job that do not answer Prometheus.',
    queries: [{ expr: 'sum(up{job=~"(.*/)?gitlab-runner-hadr"} == bool 0)', legend: 'unreadable' }],
    text: 'value',
    thresholds: [COLORS.bad, { from: 0, color: COLORS.good }, { from: 1, color: COLORS.bad }],
    noValue: 'no sidecar is scraped',
    width: 5,
  }),
  stat({
    title: 'Running jobs',
    description: 'Of all runners together.',
    queries: [{ expr: `sum(${sidecar('running_jobs')})`, legend: 'jobs' }],
    text: 'value',
    thresholds: [COLORS.neutral],
    width: 4,
  }),
  stat({
    title: 'Versions',
    description: 'Of the sidecars; several for as long as pods of before an update run.',
    queries: [{ expr: 'count by (version) (gitlab_runner_hadr_build_info{program="sidecar"})', legend: '{{version}}' }],
    text: 'both',
    thresholds: [COLORS.neutral],
    width: 5,
  }),
]

/** The table's columns, in this order. */
const NAMES = {
  pod_namespace: 'namespace',
  pod_name: 'pod',
  verdict: 'verdict',
  reason: 'why',
  'Value #A': 'one',
  'Value #B': 'last contact',
  'Value #C': 'running jobs',
  'Value #D': 'online, says GitLab',
  'Value #E': 'ports used',
}
const order = Object.fromEntries(Object.keys(NAMES).map((name, index) => [name, index]))

const pods = [
  table({
    title: 'Runner pods',
    description: 'Whether a pod takes jobs, and why not. The reasons are explained in docs/sidecar.md.',
    queries: [
      { expr: `max by (pod_namespace, pod_name, verdict, reason) (${sidecar('verdict_info')})` },
      { expr: contactAge },
      { expr: perPod(sidecar('running_jobs')) },
      { expr: perPod(sidecar('online_status')) },
      { expr: portShare },
    ],
    transformations: [
      { id: 'merge', options: {} },
      {
        id: 'organize',
        options: { excludeByName: { Time: true, 'Value #A': true }, indexByName: order, renameByName: NAMES },
      },
    ],
    columns: {
      verdict: [
        {
          id: 'mappings',
          value: [
            {
              type: 'value',
              options: {
                available: { color: COLORS.good, index: 0 },
                unavailable: { color: COLORS.bad, index: 1 },
                unknown: { color: COLORS.warning, index: 2 },
              },
            },
          ],
        },
        { id: 'custom.cellOptions', value: { type: 'color-background' } },
      ],
      'last contact': [{ id: 'unit', value: 's' }],
      'online, says GitLab': [{ id: 'mappings', value: words({ 0: ['no', 'bad'], 1: ['yes', 'good'] }) }],
      'ports used': [{ id: 'unit', value: 'percentunit' }],
    },
    width: 24,
  }),
  timeline({
    title: 'Available',
    description: 'Whether a runner takes jobs as soon as a slot is free. A gap: unknown.',
    queries: [{ expr: perPod(sidecar('available')), legend: POD }],
    mappings: words({ 0: ['no', 'bad'], 1: ['yes', 'good'] }),
    width: 24,
    height: 8,
  }),
  series({
    title: 'Runners that do not count, by reason',
    description: 'Empty while all runners are available.',
    queries: [
      {
        expr: `count by (verdict, reason) (gitlab_runner_hadr_sidecar_verdict_info{${HERE},verdict!="available"})`,
        legend: '{{verdict}}: {{reason}}',
      },
    ],
    stacked: true,
    noValue: 'all runners are available',
    width: 12,
  }),
  series({
    title: 'Sidecars whose checks fail',
    description:
      'By check; docs/sidecar.md explains them. `contact` fails with its runner, the others are the sidecar’s own.',
    queries: [{ expr: 'sum by (check) (gitlab_runner_hadr_sidecar_check == bool 0)', legend: '{{check}}' }],
    width: 12,
  }),
]

const load = [
  series({
    title: 'Since the last contact with GitLab',
    description: 'A runner asks for jobs every few seconds; 180 s without a success and with a free slot is too long.',
    queries: [{ expr: contactAge, legend: POD }],
    unit: 's',
    width: 12,
  }),
  series({
    title: 'Running jobs',
    description: 'Per pod. A full runner is available: it takes jobs as soon as a slot is free.',
    queries: [{ expr: perPod(sidecar('running_jobs')), legend: POD }],
    stacked: true,
    width: 12,
  }),
  series({
    title: 'Local ports in use',
    description: 'Share of the ports that the kernel may hand out. Near 100 % new connections fail.',
    queries: [{ expr: portShare, legend: POD }],
    unit: 'percentunit',
    width: 12,
  }),
  series({
    title: 'Checks of GitLab',
    description: 'By the sidecars, per minute. Failed ones veto nothing, but what GitLab says grows old.',
    queries: [
      {
        expr: `60 * sum by (status) (rate(${sidecar('total_status_requests')}[$__rate_interval]))`,
        legend: '{{status}}',
      },
    ],
    width: 12,
  }),
]

/** Every runner pod: available, and why not. */
export function runners(): Dashboard {
  return dashboard({
    uid: 'gitlab-runner-hadr-runners',
    title: 'gitlab-runner-hadr / Runners',
    description: 'Every runner pod: whether it takes jobs and why not, its last contact, its jobs and ports.',
    variables: [
      {
        name: 'namespace',
        label: 'Namespace',
        query: 'label_values(gitlab_runner_hadr_uptime_seconds, pod_namespace)',
      },
    ],
    from: 'now-3h',
    sections: [
      { title: '', panels: top },
      { title: 'Pods', panels: pods },
      { title: 'Load', panels: load },
    ],
  })
}
