import { Counter, Gauge, type Registry } from 'prom-client'
import type { FleetReport } from './report.ts'

const PREFIX = 'gitlab_runner_hadr_decider'
const LABELS = ['pool', 'cluster'] as const

export const SCALE_RESULTS = ['done', 'failed', 'dry_run'] as const
export type ScaleResult = (typeof SCALE_RESULTS)[number]
export const HINTS = ['taken', 'ignored', 'refused'] as const
export const CHORES = ['assign', 'remove_runner', 'remove_manager'] as const
export type Chore = (typeof CHORES)[number]

interface Place {
  pool: string
  cluster: string
}

/**
 * The fleets' metrics. As with the decider's others, what is unknown is absent, and so is everything while another process
 * leads: KEDA and an HPA then leave the number as it is.
 */
export function createFleetMetrics(registry: Registry) {
  const registers = [registry]
  const gauge = (name: string, help: string) =>
    new Gauge({ name: `${PREFIX}_${name}`, help, labelNames: [...LABELS], registers })
  const gauges: Readonly<Record<string, { gauge: Gauge; of: (report: FleetReport) => number | null }>> = {
    desired: {
      gauge: gauge('desired_replicas', 'Runner managers that this cluster should have; what KEDA or an HPA follows.'),
      of: report => (report.dryRun ? null : report.desired),
    },
    replicas: {
      gauge: gauge('fleet_replicas', 'Runner managers that are asked for now.'),
      of: report => report.replicas,
    },
    running: {
      gauge: gauge('fleet_running_jobs', 'Jobs that run on the managers of this cluster.'),
      of: report => (report.managers > 0 ? report.running : null),
    },
    pending: {
      gauge: gauge('fleet_pending_jobs', 'Jobs that wait for the managers of this cluster, as far as is known.'),
      of: report => (report.at === null ? null : report.pending),
    },
    slots: { gauge: gauge('fleet_slots', 'Jobs that one manager runs at once.'), of: report => report.slots },
    idle: {
      gauge: gauge('fleet_idle_managers', 'Managers that are known to run no job.'),
      of: report => (report.managers > 0 ? report.idle : null),
    },
    problems: {
      gauge: gauge('fleet_problems', 'What keeps the number of managers from following the demand.'),
      of: report => report.problems.length,
    },
  }
  const scalings = new Counter({
    name: `${PREFIX}_fleet_scalings_total`,
    help: 'Changes of the Deployment by direction and result.',
    labelNames: [...LABELS, 'direction', 'result'],
    registers,
  })
  const hints = new Counter({
    name: `${PREFIX}_fleet_hints_total`,
    help: 'Job events of webhooks by what became of them.',
    labelNames: ['result'],
    registers,
  })
  for (const result of HINTS) hints.inc({ result }, 0)
  const chores = new Counter({
    name: `${PREFIX}_fleet_housekeeping_total`,
    help: 'Runner entities that housekeeping changed, or would have changed in a dry run.',
    labelNames: [...LABELS, 'chore', 'result'],
    registers,
  })

  return {
    /** What begins at zero. */
    begin({ pool, cluster }: Place): void {
      for (const result of SCALE_RESULTS) {
        for (const direction of ['up', 'down']) scalings.inc({ pool, cluster, direction, result }, 0)
        for (const chore of CHORES) chores.inc({ pool, cluster, chore, result }, 0)
      }
    },
    show({ pool, cluster }: Place, report: FleetReport): void {
      for (const { gauge, of } of Object.values(gauges)) {
        const value = of(report)
        if (value === null) gauge.remove({ pool, cluster })
        else gauge.set({ pool, cluster }, value)
      }
    },
    forget({ pool, cluster }: Place): void {
      for (const { gauge } of Object.values(gauges)) gauge.remove({ pool, cluster })
    },
    scaled({ pool, cluster }: Place, direction: 'up' | 'down', result: ScaleResult): void {
      scalings.inc({ pool, cluster, direction, result })
    },
    hinted: (result: (typeof HINTS)[number]) => hints.inc({ result }),
    kept({ pool, cluster }: Place, chore: Chore, result: ScaleResult): void {
      chores.inc({ pool, cluster, chore, result })
    },
  }
}

export type FleetMetrics = ReturnType<typeof createFleetMetrics>
