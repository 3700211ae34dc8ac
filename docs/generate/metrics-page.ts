import { metricsOfPrograms, type MetricEntry } from './catalogue.ts'

const INTRODUCTION = `# Metrics

Made from the code by \`npm run generate\`. Each program serves its metrics at \`/metrics\`: the sidecar at its port
\`hadr-metrics\` (9254), the decider (8080) and the webhook (8081) at their port \`ops\`. How to scrape them, what to alert on
and what to draw is in \`manifests/prometheus/\` and \`manifests/grafana/\`; what to do when an alert fires is in
[runbooks.md](runbooks.md).

- A value that is unknown has no sample: it is never 0 and never NaN.
- Labels have a closed set of values, and counters begin at 0 with the start of the program, so that \`rate()\` sees the first
  event. The exception are the sidecar's first four, which behave as they always did.
- Of a decider's replicas only the one that leads tells of pools. Aggregate by \`pool\` and \`cluster\`, as the dashboards do:
  \`max by (pool, cluster) (gitlab_runner_hadr_decider_score)\`.
- A histogram \`x\` is read as \`x_bucket{le}\`, \`x_sum\` and \`x_count\`.
- \`gitlab_runner_hadr_sidecar_total_status_requests\` is a gauge by its old contract, but only ever grows: \`rate()\` may be used.
  \`port_total\` and \`port_used\` have their old names, too.
`

const ABOUT: Readonly<Record<string, string>> = {
  sidecar: 'One per runner pod. What its verdicts and checks mean is in [sidecar.md](sidecar.md).',
  decider:
    'States and causes are explained in [decider.md](decider.md). Those of `job_metrics` are there where ' +
    '[`jobs`](job-metrics.md) is configured.',
  webhook: 'In the namespace `gitlab-runner-hadr`, two replicas or more.',
}

/** The metrics reference, in Markdown. */
export function metricsPage(): string {
  const sections = metricsOfPrograms().map(({ program, metrics }) =>
    [`## ${program}`, ABOUT[program] ?? '', tableOf(metrics)].join('\n\n'),
  )
  return `${INTRODUCTION}\n${sections.join('\n\n')}\n`
}

function tableOf(metrics: readonly MetricEntry[]): string {
  const rows = metrics.map(({ name, type, labels, help }) => {
    const names = labels.map(label => `\`${label}\``).join(', ')
    return `| \`${name}\` | ${type} | ${names} | ${help.replaceAll('|', '\\|')} |`
  })
  return ['| metric | type | labels | help |', '| --- | --- | --- | --- |', ...rows].join('\n')
}
