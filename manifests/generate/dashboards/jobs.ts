import { series } from './panels.ts'

const jobMetrics = (name: string) => `gitlab_runner_hadr_decider_job_metrics_${name}`

/** A row about the metrics of jobs; empty where they are not kept. */
export const jobs = [
  series({
    title: 'Jobs whose metrics were collected',
    description:
      'Per hour, by what came of it. Each replica collects; failed: Prometheus did not answer; dropped: too many.',
    queries: [
      {
        expr: `3600 * max by (result) (rate(${jobMetrics('jobs_total')}[$__rate_interval]))`,
        legend: '{{result}}',
      },
    ],
    noValue: 'not configured',
    width: 8,
  }),
  series({
    title: 'Jobs that wait to be collected',
    description:
      'They wait for one scrape; a queue that grows means that Prometheus is slow. Beyond 1,000 they are dropped.',
    queries: [{ expr: `max(${jobMetrics('queue_length')})`, legend: 'jobs' }],
    noValue: 'not configured',
    width: 8,
  }),
  series({
    title: 'Duration of collecting one job',
    description: 'All queries of a job. Half of the jobs, and 99 of 100, take less than this.',
    queries: [50, 99].map(percent => ({
      expr: `histogram_quantile(0.${percent}, sum by (le) (rate(${jobMetrics('collect_seconds_bucket')}[$__rate_interval])))`,
      legend: `p${percent}`,
    })),
    unit: 's',
    noValue: 'no job ended',
    width: 8,
  }),
  series({
    title: 'Metrics kept on disk',
    description: 'Of the replica that keeps most. The oldest go when keepMiB is reached.',
    queries: [{ expr: `max(${jobMetrics('stored_bytes')})`, legend: 'bytes' }],
    unit: 'bytes',
    noValue: 'not configured',
    width: 8,
  }),
  series({
    title: 'Queries that fail',
    description: 'Refused by Prometheus, or not answered, per second. What lasts is a mistake in the configuration.',
    queries: [
      {
        expr: `sum by (query) (rate(${jobMetrics('query_failures_total')}[$__rate_interval]))`,
        legend: '{{query}}',
      },
    ],
    noValue: 'not configured',
    width: 8,
  }),
  series({
    title: 'Requests for the metrics of a job',
    description:
      'By the status of the answer. 401 and 403 in numbers: a template that is wrong, or somebody who tries.',
    queries: [
      {
        expr: `sum by (status) (rate(${jobMetrics('requests_total')}[$__rate_interval]))`,
        legend: '{{status}}',
      },
    ],
    unit: 'reqps',
    noValue: 'not configured',
    width: 8,
  }),
]
