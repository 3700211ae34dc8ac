import type { JobMetrics } from './document.ts'

const PREFIX = 'ci_job'

interface Family {
  name: string
  help: string
  samples: { labels: Readonly<Record<string, string>>; value: number }[]
}

/**
 * What a job came to, as OpenMetrics text: gauges, one sample per series, ended by `# EOF`. GitLab reads each line of an
 * `artifacts:reports:metrics` as a shell would: all after `#` is dropped, quotes are taken away, the first word is the name
 * and the second its value, as text. It shows whatever text differs from the target branch's, so that
 * measured values are rounded to three digits, and label values hold none of the letters that a shell would understand.
 */
export function openMetricsOf(metrics: JobMetrics): string {
  const lines = familiesOf(metrics).flatMap(({ name, help, samples }) => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} gauge`,
    ...samples.map(({ labels, value }) => `${name}${labelsOf(labels)} ${value}`),
  ])
  return [...lines, '# EOF', ''].join('\n')
}

function familiesOf(metrics: JobMetrics): Family[] {
  const { window, partial, containers, queries } = metrics
  const seconds = Math.round((Date.parse(window.end) - Date.parse(window.start)) / 1000)
  const whole = (name: string, help: string, value: number): Family => ({
    name,
    help,
    samples: [{ labels: {}, value }],
  })
  const perContainer = (name: string, help: string, valueOf: (container: (typeof containers)[number]) => unknown) => {
    const samples = containers.flatMap(container => {
      const value = valueOf(container)
      return typeof value === 'number' ? [{ labels: { container: container.name }, value }] : []
    })
    return { name: `${PREFIX}_${name}`, help, samples }
  }
  const families = [
    whole(`${PREFIX}_duration_seconds`, 'How long the pod of the job ran.', seconds),
    whole(`${PREFIX}_metrics_partial`, 'Whether the job still ran when this was collected.', partial ? 1 : 0),
    perContainer('cpu_limit_cores', 'CPU limit of the container.', ({ limits }) => limits.cpuCores),
    perContainer('memory_limit_bytes', 'Memory limit of the container.', ({ limits }) => limits.memoryBytes),
    perContainer('restarts', 'Restarts of the container.', ({ restarts }) => restarts),
    perContainer('oom_killed', 'Whether the container was killed for want of memory.', ({ oomKilled }) =>
      oomKilled ? 1 : 0,
    ),
    ...queries.flatMap(query => {
      const figure = (figureName: 'max' | 'mean' | 'p95' | 'integral', says: string): Family => ({
        name: `${PREFIX}_${query.name}_${figureName}`,
        help: `${says} of ${query.name}${figureName === 'integral' ? '' : `, in ${query.unit}`}.`,
        samples: query.series.flatMap(({ labels, summary }) => {
          const value = summary.kind === 'sufficient' ? summary[figureName] : undefined
          return value === undefined ? [] : [{ labels, value: rounded(value) }]
        }),
      })
      return [
        figure('max', 'Maximum'),
        figure('mean', 'Mean'),
        figure('p95', '95th percentile'),
        figure('integral', 'Sum over time'),
      ]
    }),
  ]
  return families.filter(({ samples }) => samples.length > 0)
}

function labelsOf(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels)
    .filter(([name]) => name !== '__name__' && /^[a-zA-Z_]\w*$/.test(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}="${value.replaceAll(/[^\w.:/@+-]/g, '_')}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

/** To three digits. */
function rounded(value: number): number {
  return Number(value.toPrecision(3))
}
