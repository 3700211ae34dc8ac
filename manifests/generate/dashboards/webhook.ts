import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { dashboard } from './dashboard.ts'
import { COLORS, series, stat, words } from './panels.ts'

const ofWebhook = (name: string) => `gitlab_runner_hadr_webhook_${name}`
const perSecond = (name: string, by: string) => `sum by (${by}) (rate(${ofWebhook(name)}[$__rate_interval]))`
const expiresIn = (role: string) =>
  `min by (role) (${ofWebhook('certificate_not_after_timestamp_seconds')}{role=~"${role}"}) - time()`

const top = [
  stat({
    title: 'Pods',
    description: 'Reviews answered within the time chosen above: given a sidecar, left as they are, or failed.',
    queries: [{ expr: `sum by (result) (increase(${ofWebhook('admissions_total')}[$__range]))`, legend: '{{result}}' }],
    text: 'both',
    decimals: 0,
    thresholds: [COLORS.bad, { from: 0, color: COLORS.neutral }],
    noValue: 'no webhook',
    width: 8,
  }),
  stat({
    title: 'Faults',
    description: 'Of the webhook itself, within the time chosen above. The pods were admitted without a sidecar.',
    queries: [{ expr: `sum(increase(${ofWebhook('internal_errors_total')}[$__range]))`, legend: 'faults' }],
    text: 'value',
    decimals: 0,
    thresholds: [COLORS.bad, { from: 0, color: COLORS.good }, { from: 1, color: COLORS.bad }],
    noValue: 'no webhook',
    width: 4,
  }),
  stat({
    title: 'Certificate expires in',
    description:
      'The one that is served, of the replica whose expires first. It is renewed after two thirds of its life.',
    queries: [{ expr: expiresIn('leaf'), legend: 'leaf' }],
    text: 'value',
    unit: 's',
    decimals: 1,
    thresholds: [COLORS.bad, { from: 36 * 3600, color: COLORS.good }],
    noValue: 'no certificate',
    width: 4,
  }),
  stat({
    title: 'caBundle',
    description: 'Whether the API server is told to trust what is served. Absent where certificates come from files.',
    queries: [{ expr: `min(${ofWebhook('ca_bundle_in_sync')})`, legend: 'caBundle' }],
    text: 'value',
    mappings: words({ 0: ['NOT TRUSTED', 'bad'], 1: ['trusted', 'good'] }),
    thresholds: [COLORS.neutral],
    noValue: 'kept by somebody else',
    width: 4,
  }),
  stat({
    title: 'Replicas by configuration',
    description:
      'By digest of the sidecar’s configuration. More than one for longer than a rollout: replicas disagree.',
    queries: [{ expr: `count by (digest) (${ofWebhook('config_info')})`, legend: '{{digest}}' }],
    text: 'both',
    thresholds: [COLORS.neutral],
    width: 4,
  }),
]

const pods = [
  series({
    title: 'Pods reviewed',
    description: 'Per second, by what became of them and how or why.',
    queries: [{ expr: `${perSecond('admissions_total', 'result, reason')} > 0`, legend: '{{result}}: {{reason}}' }],
    unit: 'reqps',
    stacked: true,
    noValue: 'no pod was created',
    width: 12,
  }),
  stat({
    title: 'Pods left as they are, by reason',
    description: 'Within the time chosen above. hostNetwork, …Taken and unsafePatch are runners that do not count.',
    queries: [
      {
        expr: `sum by (reason) (increase(${ofWebhook('admissions_total')}{result="skipped"}[$__range])) > 0`,
        legend: '{{reason}}',
      },
    ],
    text: 'both',
    decimals: 0,
    thresholds: [COLORS.neutral],
    noValue: 'none',
    width: 12,
    height: 7,
  }),
]

const serving = [
  series({
    title: 'Latency',
    description: 'Headers in to last byte out. The API server waits 3 s and then admits the pod without a sidecar.',
    queries: [50, 99].map(percent => ({
      expr: `histogram_quantile(0.${percent}, ${perSecond('exchange_duration_seconds_bucket', 'le')})`,
      legend: `p${percent}`,
    })),
    unit: 's',
    width: 8,
  }),
  series({
    title: 'Exchanges',
    description: 'By how they ended; answered is the only good one.',
    queries: [{ expr: perSecond('exchanges_total', 'outcome'), legend: '{{outcome}}' }],
    unit: 'reqps',
    stacked: true,
    width: 8,
  }),
  series({
    title: 'Requests in flight',
    description: 'Being received or answered now.',
    queries: [{ expr: `sum(${ofWebhook('in_flight_requests')})`, legend: 'requests' }],
    width: 4,
  }),
  series({
    title: 'Bytes in flight',
    description: 'Announced size of the requests in flight.',
    queries: [{ expr: `sum(${ofWebhook('in_flight_bytes')})`, legend: 'bytes' }],
    unit: 'bytes',
    width: 4,
  }),
]

const certificates = [
  series({
    title: 'Life left of certificates',
    description: 'Of the served one (leaf) and, where the webhook makes its own, of the authorities that sign.',
    queries: [{ expr: expiresIn('.+'), legend: '{{role}}' }],
    unit: 's',
    width: 8,
  }),
  series({
    title: 'Failed TLS handshakes',
    description:
      'Per second. Mostly clients that do not trust the certificate; the API server is one if pods get no sidecar.',
    queries: [{ expr: `sum(rate(${ofWebhook('tls_handshake_errors_total')}[$__rate_interval]))`, legend: 'failed' }],
    unit: 'reqps',
    width: 8,
  }),
  series({
    title: 'Certificate changes and rotation steps',
    description: 'Per hour: certificates taken or refused, and steps of the authority’s rotation.',
    queries: [
      {
        expr: `sum by (result) (increase(${ofWebhook('certificate_changes_total')}[1h]))`,
        legend: 'certificate {{result}}',
      },
      { expr: `sum by (step) (increase(${ofWebhook('certificate_rotation_steps_total')}[1h]))`, legend: '{{step}}' },
    ],
    width: 8,
  }),
]

/** What the webhook did to pods, how fast, and whether it will go on being trusted. */
export function webhook(): Dashboard {
  return dashboard({
    uid: 'gitlab-runner-hadr-webhook',
    title: 'gitlab-runner-hadr / Webhook',
    description: 'Which pods were given a sidecar and which not, how fast, and for how long its certificates last.',
    variables: [],
    from: 'now-24h',
    sections: [
      { title: '', panels: top },
      { title: 'Pods', panels: pods },
      { title: 'Serving', panels: serving },
      { title: 'Certificates', panels: certificates },
    ],
  })
}
