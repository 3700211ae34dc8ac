import type { InstantResult, Sample } from '../../lib/prometheus/answer.ts'
import { failed, ok, Skip, skipped, type Check, type Verdict } from './check.ts'
import type { DoctorContext } from './context.ts'

export const prometheusChecks: readonly Check<DoctorContext>[] = [
  {
    id: 'prometheus-reachable',
    title: 'Prometheus answers the decider’s query',
    needs: 'nothing',
    run: async context => judgeReachable(await capacity(context), context.config?.prometheus.url ?? ''),
  },
  {
    id: 'prometheus-series',
    title: 'Prometheus has the sidecars’ series',
    needs: 'nothing',
    run: async context => {
      const runnerIds = await ownRunnerIds(context)
      return judgeSeries(await capacity(context), context.config?.prometheus.job ?? '', runnerIds)
    },
  },
]

async function capacity({ capacity: ask }: DoctorContext): Promise<InstantResult> {
  if (!ask) throw new Skip('needs --config, the decider’s configuration file')
  return ask()
}

/** Ids of this cluster's runners; undefined where GitLab does not tell. */
async function ownRunnerIds({ gitlab, config, pools }: DoctorContext): Promise<ReadonlySet<number> | undefined> {
  if (!gitlab || !config) return undefined
  try {
    const lists = await Promise.all(
      pools.map(async pool => {
        const tag = pool.clusters.find(({ name }) => name === config.cluster)?.tag ?? ''
        return (await gitlab.runners(pool)).filter(({ tags }) => tags.includes(tag)).map(({ id }) => id)
      }),
    )
    return new Set(lists.flat())
  } catch {
    return undefined
  }
}

/** Pure. Without series is an answer, too: the next check speaks of them. */
export function judgeReachable(result: InstantResult, url: string): Verdict {
  switch (result.kind) {
    case 'complete':
    case 'empty':
      return ok(url)
    case 'partial':
      return failed(
        `Prometheus at ${url} says that data is missing: ${result.warnings.join('; ')}`,
        'Look at the stores behind it: partial answers can never prove that a runner is gone.',
      )
    case 'bad_query':
      return failed(
        `Prometheus at ${url} refuses the decider's query: ${result.message}`,
        'Look at prometheus.job, and whether it really is Prometheus (or Thanos, Mimir, VictoriaMetrics).',
      )
    case 'invalid_answer':
      return failed(
        `what answers at ${url} is not Prometheus's API: ${result.message}`,
        'Give prometheus.url as the address below which /api/v1/query is.',
      )
    case 'unavailable':
      return failed(
        `Prometheus at ${url} does not answer: ${result.message}`,
        'Look at the Service’s name and namespace, network policies, and prometheus.tokenFile where it asks for one.',
      )
  }
}

/** Pure. `ownIds`: this cluster's runners; undefined: not known. */
export function judgeSeries(result: InstantResult, job: string, ownIds: ReadonlySet<number> | undefined): Verdict {
  if (result.kind === 'empty') {
    return failed(
      'Prometheus knows no sidecar: no target and no series',
      'Let it scrape the port named hadr-metrics (PodMonitor or scrape job), and look whether the pods have the sidecar.',
    )
  }
  if (result.kind !== 'complete' && result.kind !== 'partial') return skipped(`not checked: ${result.message}`)
  const of = (kind: string) => result.samples.filter(({ labels }) => labels['hadr_kind'] === kind)
  const [available, info, up] = [of('available'), of('info'), of('up')]
  const down = up.filter(({ value }) => value === 0)
  if (available.length === 0 && info.length === 0) {
    return failed(
      `${down.length} of ${up.length} targets of job ${job} are down, and there is no series of a sidecar`,
      'Look at the targets in Prometheus: a network policy may keep it from port 9254.',
    )
  }
  if (info.length === 0 || available.length === 0) {
    const missing = info.length === 0 ? 'runner_info' : 'available'
    return failed(
      `the sidecars' series gitlab_runner_hadr_sidecar_${missing} is missing`,
      info.length === 0
        ? 'The sidecars do not know their runners: give them a runner id, or a token (see docs/sidecar.md), and drop no series in Prometheus.'
        : 'Look at the sidecars’ logs for why their runner is unknown, and drop no series in Prometheus.',
    )
  }
  if (up.length === 0) {
    return failed(
      `the sidecars are scraped, but under no job that ${job} matches: ${jobsOf(available)}`,
      'Set prometheus.job in the decider’s configuration; without it a dead cluster is never known to be empty.',
    )
  }
  if (ownIds && !info.some(({ labels }) => ownIds.has(Number(labels['runner_id'])))) {
    return failed(
      'no scraped sidecar belongs to a runner with this cluster’s tag',
      'Look whether this is the Prometheus of this cluster, and whether its runners carry the cluster tag.',
    )
  }
  return ok(`${available.length} sidecars, ${up.length - down.length} of ${up.length} targets up`)
}

function jobsOf(samples: readonly Sample[]): string {
  return [...new Set(samples.map(({ labels }) => labels['job'] ?? 'no job'))].join(', ')
}
