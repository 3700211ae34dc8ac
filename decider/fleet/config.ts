import type { Mistake } from '../../lib/service/config.ts'
import type { DeciderConfig } from '../config.ts'
import { poolNameOf } from '../pool.ts'
import type { FleetRules } from './desired.ts'

const kubernetesName = {
  type: 'string',
  pattern: '^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$',
  description: 'a name in Kubernetes: lower-case letters, digits, hyphens and dots',
} as const
const hours = { type: 'integer', minimum: 1, maximum: 8760 } as const

/** `fleet` of a pool. */
export const fleetSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['max'],
  description:
    'the number of this cluster’s runner managers follows the demand; needs runners, and makes strength health',
  properties: {
    scale: {
      enum: ['export', 'patch'],
      default: 'export',
      description:
        'export: as a metric, for KEDA or a HorizontalPodAutoscaler; patch: the decider scales the Deployment',
    },
    deployment: { ...kubernetesName, description: 'for patch: the Deployment of the managers' },
    min: { type: 'integer', minimum: 1, maximum: 1000, default: 1, description: 'managers, at least' },
    max: { type: 'integer', minimum: 1, maximum: 1000, description: 'managers, at most' },
    standby: {
      type: 'integer',
      minimum: 1,
      maximum: 1000,
      description: 'managers while another cluster serves; default: min',
    },
    spare: {
      type: 'integer',
      minimum: 0,
      maximum: 10_000,
      default: 1,
      description: 'job slots that are kept free while this cluster serves',
    },
    slots: {
      type: 'integer',
      minimum: 1,
      maximum: 10_000,
      description: 'jobs that one manager runs at once; default: what its own metrics say',
    },
    growBy: { type: 'integer', minimum: 1, maximum: 1000, default: 3, description: 'at most this many more at once' },
    windowSeconds: {
      type: 'integer',
      minimum: 60,
      maximum: 86_400,
      default: 300,
      description: 'the greatest need of this long counts before a manager is given up',
    },
    projects: {
      type: 'array',
      maxItems: 100,
      uniqueItems: true,
      default: [],
      items: { type: 'integer', minimum: 1 },
      description: 'ids of projects whose pending jobs count',
    },
    tags: {
      type: 'array',
      maxItems: 50,
      uniqueItems: true,
      default: [],
      items: { type: 'string', pattern: '^[^,]{1,255}$' },
      description: 'more tags that the runners carry and that jobs may name beside the main tag',
    },
    housekeeping: {
      type: 'object',
      additionalProperties: false,
      description: 'keeps runner entities in order; each part is off unless it is given',
      properties: {
        dryRun: { type: 'boolean', default: true, description: 'only tells what it would do' },
        everySeconds: {
          type: 'integer',
          minimum: 60,
          maximum: 86_400,
          default: 600,
          description: 'between two rounds',
        },
        assignToGroup: {
          type: 'integer',
          minimum: 1,
          description: 'id of a group: project runners are assigned to all its projects',
        },
        removeRunnersAfterHours: {
          ...hours,
          description: 'removes runners of this cluster that GitLab has not seen for so long',
        },
        removeManagersAfterHours: {
          ...hours,
          description: 'removes managers that GitLab has not seen for so long; needs runnerTokenFiles',
        },
        runnerTokenFiles: {
          type: 'array',
          maxItems: 50,
          default: [],
          description: 'files with the runners’ own tokens, which alone may remove managers',
          items: {
            type: 'object',
            additionalProperties: false,
            required: ['runner', 'file'],
            properties: {
              runner: { type: 'integer', minimum: 1, description: 'id of a runner' },
              file: { type: 'string', minLength: 1, description: 'a path' },
            },
          },
        },
      },
    },
  },
} as const

/** Top level `jobHooks`. */
export const jobHooksSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['listen', 'tokenFile'],
  description: 'job events of GitLab’s webhooks, POST /hooks/jobs: hints that wake the fleets early',
  properties: {
    listen: { type: 'string', format: 'listen-address', description: 'an address of its own, such as :8082' },
    tokenFile: { type: 'string', minLength: 1, description: 'the webhook’s secret token' },
  },
} as const

type Pool = DeciderConfig['pools'][number]
type Fleet = NonNullable<Pool['fleet']>

/** One pool's fleet with everything that its loop needs. */
export interface FleetConfig {
  pool: string
  cluster: string
  mainTag: string
  clusterTag: string
  rules: FleetRules
  tags: readonly string[]
  projects: readonly number[]
  /** Undefined: the number is exported only. */
  target: { namespace: string | undefined; deployment: string } | undefined
  housekeeping: Housekeeping | undefined
  /** Between two looks. */
  everyMs: number
  /** At least between two looks, however many hints come. */
  minGapMs: number
  sampleMaxAgeMs: number
  queueWindowMs: number
}

export interface Housekeeping {
  dryRun: boolean
  everyMs: number
  assignToGroup: number | undefined
  removeRunnersAfterMs: number | undefined
  removeManagersAfterMs: number | undefined
  runnerTokenFiles: readonly { runner: number; file: string }[]
}

/** The fleets of the pools that have one. */
export function fleetsOf(config: DeciderConfig): FleetConfig[] {
  return config.pools.flatMap(pool => {
    const clusterTag = pool.clusters.find(({ name }) => name === config.cluster)?.tag
    return pool.fleet && clusterTag !== undefined ? [fleetOf(config, pool, pool.fleet, clusterTag)] : []
  })
}

function fleetOf(config: DeciderConfig, pool: Pool, fleet: Fleet, clusterTag: string): FleetConfig {
  const ms = (seconds: number) => seconds * 1000 * config.timeScale
  const { min, max, spare, growBy, slots, housekeeping } = fleet
  const namespace = (pool.runners ?? config.runners)?.namespace
  // GitLab answers 600 lists of jobs a minute to one user; half of them is enough.
  const askingSeconds = fleet.projects.length / 5
  return {
    pool: pool.name ?? poolNameOf(pool.mainTag),
    cluster: config.cluster,
    mainTag: pool.mainTag,
    clusterTag,
    rules: {
      min,
      max,
      spare,
      growBy,
      ...(slots === undefined ? {} : { slots }),
      standby: fleet.standby ?? min,
      windowMs: ms(fleet.windowSeconds),
      stepMs: ms(60),
    },
    tags: fleet.tags,
    projects: fleet.projects,
    target:
      fleet.scale === 'patch' && fleet.deployment !== undefined
        ? { namespace, deployment: fleet.deployment }
        : undefined,
    housekeeping: housekeeping && {
      dryRun: housekeeping.dryRun,
      everyMs: ms(housekeeping.everySeconds),
      assignToGroup: housekeeping.assignToGroup,
      removeRunnersAfterMs: hoursMs(housekeeping.removeRunnersAfterHours),
      removeManagersAfterMs: hoursMs(housekeeping.removeManagersAfterHours),
      runnerTokenFiles: housekeeping.runnerTokenFiles,
    },
    everyMs: ms(Math.max(15, askingSeconds)),
    minGapMs: ms(Math.max(5, askingSeconds)),
    sampleMaxAgeMs: ms(45),
    queueWindowMs: ms(120),
  }
}

function hoursMs(given: number | undefined): number | undefined {
  return given === undefined ? undefined : given * 3_600_000
}

/** Rules between a fleet's keys and those of its pool. */
export function fleetMistakes({ pools, runners, jobHooks, gitlab }: DeciderConfig): Mistake[] {
  const mistakes: Mistake[] = []
  for (const [index, pool] of pools.entries()) {
    const { fleet } = pool
    if (!fleet) continue
    const at = `pools[${index}].fleet`
    const wrong = (key: string, rule: string) => mistakes.push({ path: `${at}.${key}`, rule })
    if (!pool.runners && !runners) {
      const rule = 'needs runners, in the pool or for all: strength is health then, the share of the desired pods'
      mistakes.push({ path: at, rule })
    }
    if (fleet.min > fleet.max) wrong('min', `must be at most max, ${fleet.max}`)
    if (fleet.standby !== undefined && fleet.standby > fleet.max) wrong('standby', `must be at most max, ${fleet.max}`)
    if (fleet.scale === 'patch' && fleet.deployment === undefined) {
      wrong('deployment', 'is required with scale: patch: the one Deployment that the decider scales')
    }
    if (fleet.scale === 'export' && fleet.deployment !== undefined) {
      wrong('deployment', 'must not be given with scale: export: there KEDA or an HPA scales, and the decider does not')
    }
    const sharer = pools.findIndex(
      other => fleet.deployment !== undefined && other.fleet?.deployment === fleet.deployment,
    )
    if (sharer >= 0 && sharer < index && namespaceOf(pools[sharer], runners) === namespaceOf(pool, runners)) {
      wrong('deployment', `must differ from that of pools[${sharer}]: one fleet scales one Deployment`)
    }
    const { housekeeping } = fleet
    if (housekeeping?.removeManagersAfterHours !== undefined && housekeeping.runnerTokenFiles.length === 0) {
      wrong('housekeeping.runnerTokenFiles', 'is required with removeManagersAfterHours: only a runner’s own token may')
    }
    if (housekeeping?.assignToGroup !== undefined && gitlab.runnersProject === undefined) {
      wrong('housekeeping.assignToGroup', 'is for project runners: gitlab.runnersProject must name their project')
    }
  }
  if (jobHooks && !pools.some(pool => pool.fleet)) {
    mistakes.push({ path: 'jobHooks', rule: 'needs a pool with fleet: there is nothing else that they could wake' })
  }
  return mistakes
}

function namespaceOf(pool: Pool | undefined, runners: DeciderConfig['runners']): string | undefined {
  return (pool?.runners ?? runners)?.namespace
}
