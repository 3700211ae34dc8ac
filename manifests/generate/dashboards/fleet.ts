import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { dashboard } from './dashboard.ts'
import { COLORS, series, stat } from './panels.ts'

const decider = (name: string) => `gitlab_runner_hadr_decider_${name}`
/** Of two replicas one leads and tells; after a change of leaders both may be in the window. */
const ofFleet = (name: string) => `max by (pool, cluster) (${decider(name)}{pool=~"$pool"})`
const FLEET = '{{pool}}: {{cluster}}'

const capacity = [
  stat({
    title: 'Runner managers',
    description: 'How many this cluster should have, as its decider reckons. Nothing here: no pool has a fleet.',
    queries: [{ expr: ofFleet('desired_replicas'), legend: FLEET }],
    text: 'both',
    thresholds: [COLORS.neutral],
    noValue: 'unknown',
    width: 8,
  }),
  stat({
    title: 'What is in the way',
    description: 'Problems that keep the number from following the demand; the status page tells them in sentences.',
    queries: [{ expr: ofFleet('fleet_problems'), legend: FLEET }],
    text: 'both',
    thresholds: [COLORS.good, { from: 1, color: COLORS.warning }],
    noValue: 'no fleet',
    width: 8,
  }),
  stat({
    title: 'Used slots',
    description: 'Running jobs over the slots of the managers that are asked for. Above 90 % new jobs soon wait.',
    queries: [
      {
        expr: `${ofFleet('fleet_running_jobs')} / (${ofFleet('fleet_replicas')} * ${ofFleet('fleet_slots')})`,
        legend: FLEET,
      },
    ],
    text: 'both',
    unit: 'percentunit',
    decimals: 0,
    thresholds: [COLORS.good, { from: 0.9, color: COLORS.warning }],
    noValue: 'unknown',
    width: 8,
  }),
]

const demand = [
  series({
    title: 'Managers: wanted, asked for, idle',
    description: 'Asked for follows wanted within a minute. If it does not, KEDA, the HPA or a right is in the way.',
    queries: [
      { expr: ofFleet('desired_replicas'), legend: `${FLEET} wanted` },
      { expr: ofFleet('fleet_replicas'), legend: `${FLEET} asked for` },
      { expr: ofFleet('fleet_idle_managers'), legend: `${FLEET} idle` },
    ],
    width: 12,
  }),
  series({
    title: 'Jobs',
    description: 'Running ones, and those that wait as far as the decider knows. Waiting ones that stay: raise max.',
    queries: [
      { expr: ofFleet('fleet_running_jobs'), legend: `${FLEET} running` },
      { expr: ofFleet('fleet_pending_jobs'), legend: `${FLEET} waiting` },
    ],
    stacked: true,
    width: 12,
  }),
]

const deeds = [
  series({
    title: 'Changes of the Deployment',
    description: 'By direction and result, per hour; only where the decider scales itself.',
    queries: [
      {
        expr: `3600 * sum by (direction, result) (rate(${decider('fleet_scalings_total')}{pool=~"$pool"}[$__rate_interval]))`,
        legend: '{{direction}} {{result}}',
      },
    ],
    width: 8,
  }),
  series({
    title: 'Hints',
    description: 'Job events of webhooks, per minute. Refused ones: GitLab sends another secret token.',
    queries: [
      { expr: `60 * sum by (result) (rate(${decider('fleet_hints_total')}[$__rate_interval]))`, legend: '{{result}}' },
    ],
    noValue: 'no webhook is configured',
    width: 8,
  }),
  series({
    title: 'Housekeeping',
    description: 'Runner entities that were changed, or would have been in a dry run, per hour.',
    queries: [
      {
        expr: `3600 * sum by (chore, result) (rate(${decider('fleet_housekeeping_total')}{pool=~"$pool"}[$__rate_interval]))`,
        legend: '{{chore}} {{result}}',
      },
    ],
    width: 8,
  }),
]

/** Whether the runner managers follow the demand. */
export function fleet(): Dashboard {
  return dashboard({
    uid: 'gitlab-runner-hadr-fleet',
    title: 'gitlab-runner-hadr / Fleet',
    description: 'How many runner managers there are, how many there should be, and why. For pools with a fleet.',
    variables: [{ name: 'pool', label: 'Pool', query: `label_values(${decider('fleet_problems')}, pool)` }],
    from: 'now-6h',
    sections: [
      { title: '', panels: capacity },
      { title: 'Demand', panels: demand },
      { title: 'Deeds', panels: deeds },
    ],
  })
}
