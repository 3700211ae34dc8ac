import { isDeepStrictEqual } from 'node:util'
import { type Mistake, createConfigReader } from '../lib/service/config.ts'
import type { ConfigOf } from '../lib/service/config-type.ts'
import type { RunnerOwner } from '../lib/gitlab/types.ts'
import { jobsSchema, mistakesOfJobs } from './jobs/config.ts'
import type { PoolConfig } from './model.ts'
import { fleetMistakes, fleetSchema, jobHooksSchema } from './fleet/config.ts'
import { digestOf, poolNameOf } from './pool.ts'
import { PROFILES, timingOf } from './timing.ts'

const tag = {
  type: 'string',
  pattern: '^[^,]{1,255}$',
  description: 'a GitLab tag: 1 to 255 characters, no comma',
} as const
const name = {
  type: 'string',
  pattern: '^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$',
  description: 'lower-case letters, digits and hyphens, at most 40',
} as const
const file = { type: 'string', minLength: 1, description: 'a path' } as const
const kubernetesName = {
  type: 'string',
  pattern: '^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$',
  description: 'a name in Kubernetes: lower-case letters, digits, hyphens and dots',
} as const
const workloads = {
  type: 'object',
  additionalProperties: false,
  required: ['selector'],
  description:
    'the Deployments and StatefulSets of the runners, for desired pods and rollouts; needs get and list on both',
  properties: {
    namespace: { ...kubernetesName, description: 'default: the decider’s own' },
    selector: { type: 'string', minLength: 1, description: 'a label selector, such as app=ci-gitlab-runner' },
  },
} as const

/** The decider's configuration file: defaults, validation and documentation in one place. */
export const deciderConfigSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['cluster', 'gitlab', 'prometheus', 'pools'],
  properties: {
    cluster: {
      ...name,
      description: 'the cluster this decider runs in: lower-case letters, digits and hyphens, at most 40',
    },
    gitlab: {
      type: 'object',
      additionalProperties: false,
      required: ['url', 'project'],
      properties: {
        url: { type: 'string', format: 'http-url', description: 'the GitLab, or its /api/v4' },
        group: { type: 'integer', minimum: 1, description: 'id of the group that owns the runners' },
        runnersProject: {
          type: 'integer',
          minimum: 1,
          description:
            'instead of group, for project runners: id of the project that owns them; the token needs Maintainer there',
        },
        instance: { const: true, description: 'instead of group, for instance runners: true; needs an administrator' },
        project: { type: 'integer', minimum: 1, description: 'id of the HADR project: private, with a default branch' },
        tokenFile: {
          ...file,
          description:
            'token with read_api and manage_runner as Owner of the group, and api for the HADR project unless that has its own; read again when it changes; default: HADR_GITLAB_TOKEN',
        },
        projectTokenFile: {
          ...file,
          description:
            'a second token, for the HADR project alone, so that neither can do everything; default: tokenFile',
        },
        caFile: { ...file, description: 'PEM certificates to trust besides the system’s' },
      },
    },
    prometheus: {
      type: 'object',
      additionalProperties: false,
      required: ['url'],
      properties: {
        url: { type: 'string', format: 'http-url', description: 'Prometheus, or what speaks its API' },
        job: {
          type: 'string',
          minLength: 1,
          default: '(.*/)?gitlab-runner-hadr',
          description: 'regular expression of the job label under which the sidecars are scraped',
        },
        tokenFile: { ...file, description: 'bearer token' },
        caFile: { ...file, description: 'PEM certificates to trust besides the system’s' },
      },
    },
    runners: workloads,
    jobs: jobsSchema,
    lease: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'the Lease by which one of several replicas leads; `--no-lease` for a single process',
      properties: {
        namespace: { ...kubernetesName, description: 'default: that of the service account' },
        name: { ...kubernetesName, description: 'default: gitlab-runner-hadr-decider-<cluster>' },
      },
    },
    listen: {
      type: 'string',
      format: 'listen-address',
      default: ':8080',
      description: 'where the status page, /status, /status/decisions, /metrics, /livez and /readyz are served',
    },
    jobHooks: jobHooksSchema,
    profile: {
      enum: PROFILES,
      default: 'balanced',
      description: 'how fast a dead cluster is noticed, at what cost in GitLab calls',
    },
    timeScale: {
      type: 'number',
      minimum: 0.01,
      maximum: 1,
      default: 1,
      description: 'multiplies every duration; below 1 only for demonstrations and tests',
    },
    pools: {
      type: 'array',
      description: 'the main tags, each with the clusters that can serve it',
      minItems: 1,
      maxItems: 100,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['mainTag', 'clusters'],
        properties: {
          mainTag: { ...tag, description: 'the tag that .gitlab-ci.yml names' },
          name: { ...name, description: 'default: made from the main tag' },
          strength: {
            enum: ['count', 'health'],
            default: 'count',
            description: 'count: available pods; health: percent of the desired pods, for autoscaled fleets',
          },
          margin: {
            type: 'integer',
            minimum: 1,
            default: 1,
            description: 'how much stronger another cluster must be, at least; 20 % more counts when that is larger',
          },
          runners: workloads,
          fleet: fleetSchema,
          clusters: {
            type: 'array',
            description: 'this cluster and the others; the same in all deciders',
            minItems: 2,
            maxItems: 50,
            items: {
              type: 'object',
              additionalProperties: false,
              required: ['name', 'tag'],
              properties: {
                name,
                tag: { ...tag, description: 'the tag that this cluster’s runners always keep' },
                priority: { type: 'integer', default: 0, description: 'ranks equals; higher first' },
                weight: { type: 'number', exclusiveMinimum: 0, default: 1, description: 'multiplies the strength' },
              },
            },
          },
        },
      },
    },
  },
} as const

export type DeciderConfig = ConfigOf<typeof deciderConfigSchema>

/** A preference move needs this much more than the incumbent has, when that is more than the margin. */
const MARGIN_RATIO = 0.2

/** Reads the configuration file; all mistakes at once. */
export const readDeciderConfig = createConfigReader(deciderConfigSchema, config => [
  ...mistakesBetweenFields(config),
  ...fleetMistakes(config),
])

/** The pools as the protocol needs them. */
export function poolsOf(config: DeciderConfig): PoolConfig[] {
  const timing = timingOf(config.profile, config.timeScale)
  return config.pools
    .map(pool => withStrength(pool))
    .map(pool => ({
      name: pool.name ?? poolNameOf(pool.mainTag),
      mainTag: pool.mainTag,
      self: config.cluster,
      clusters: pool.clusters,
      strength: pool.strength,
      margin: pool.margin,
      marginRatio: MARGIN_RATIO,
      timing,
      digest: digestOf(pool),
      ...workloadsOf(pool.runners ?? config.runners),
    }))
}

/** A fleet that follows the demand would look weak whenever it is calm, so that its strength is health. */
function withStrength(pool: DeciderConfig['pools'][number]): DeciderConfig['pools'][number] {
  return pool.fleet ? { ...pool, strength: 'health' } : pool
}

function workloadsOf(workloads: DeciderConfig['runners']): Pick<PoolConfig, 'workloads'> {
  return workloads ? { workloads } : {}
}

/** Whose runners the decider moves. */
export function runnerOwnerOf({ gitlab }: Pick<DeciderConfig, 'gitlab'>): RunnerOwner {
  if (gitlab.group !== undefined) return { group: gitlab.group }
  return gitlab.runnersProject === undefined ? { instance: true } : { runnersProject: gitlab.runnersProject }
}

/** Everything but pools and profile is built into the process: of these the ones that differ. */
export function restartKeys(running: DeciderConfig, wanted: DeciderConfig): string[] {
  const keys = ['cluster', 'gitlab', 'prometheus', 'jobs', 'lease', 'listen', 'jobHooks'] as const
  return keys.filter(key => !isDeepStrictEqual(running[key], wanted[key]))
}

const RESERVED_RULE = 'must not be a word that every JavaScript object knows'

/** Names are keys of shared documents and records; a word like `constructor` would be found in an empty one. */
function isReserved(name: string): boolean {
  return name in {}
}

function mistakesBetweenFields({ cluster, gitlab, pools, runners, jobs }: DeciderConfig): Mistake[] {
  const mistakes: Mistake[] = jobs ? mistakesOfJobs(jobs) : []
  const owners = (['group', 'runnersProject', 'instance'] as const).filter(key => gitlab[key] !== undefined)
  if (owners.length === 0) {
    const rule = 'is required, or runnersProject, or instance: somebody must own the runners that the decider moves'
    mistakes.push({ path: 'gitlab.group', rule })
  }
  for (const key of owners.slice(1)) {
    mistakes.push({ path: `gitlab.${key}`, rule: `must not be given beside ${owners[0]}: runners have one owner` })
  }
  if (runners && pools.filter(pool => !pool.runners).length > 1) {
    const rule = 'must be given in each pool instead when there are several: desired pods count for one pool only'
    mistakes.push({ path: 'runners', rule })
  }
  const names = pools.map(pool => pool.name ?? poolNameOf(pool.mainTag))
  const mainTags = pools.map(pool => pool.mainTag)
  for (const [index, pool] of pools.entries()) {
    const at = `pools[${index}]`
    const poolName = names[index] ?? ''
    if (isReserved(poolName)) mistakes.push({ path: `${at}.name`, rule: RESERVED_RULE })
    if (poolName === '') {
      mistakes.push({ path: `${at}.name`, rule: 'is required, since the main tag gives no name in [a-z0-9-]' })
    } else if (names.indexOf(poolName) !== index) {
      mistakes.push({ path: `${at}.name`, rule: `must differ from the name of pools[${names.indexOf(poolName)}]` })
    }
    if (mainTags.indexOf(pool.mainTag) !== index) {
      const first = mainTags.indexOf(pool.mainTag)
      mistakes.push({ path: `${at}.mainTag`, rule: `must be unique; pools[${first}] has it too` })
    }
    if (!pool.clusters.some(({ name }) => name === cluster)) {
      mistakes.push({ path: `${at}.clusters`, rule: `must contain this decider’s own cluster, ${cluster}` })
    }
    mistakes.push(...clusterMistakes(pool, at, mainTags))
  }
  return mistakes
}

function clusterMistakes(pool: DeciderConfig['pools'][number], at: string, mainTags: readonly string[]): Mistake[] {
  const mistakes: Mistake[] = []
  for (const [index, { name: clusterName, tag: clusterTag }] of pool.clusters.entries()) {
    const path = `${at}.clusters[${index}]`
    if (isReserved(clusterName)) mistakes.push({ path: `${path}.name`, rule: RESERVED_RULE })
    const sameName = pool.clusters.findIndex(other => other.name === clusterName)
    const sameTag = pool.clusters.findIndex(other => other.tag === clusterTag)
    if (sameName !== index)
      mistakes.push({ path: `${path}.name`, rule: `must be unique; clusters[${sameName}] has it` })
    if (sameTag !== index) {
      mistakes.push({
        path: `${path}.tag`,
        rule: `must be unique, or runners belong to two clusters; clusters[${sameTag}] has it`,
      })
    }
    if (mainTags.includes(clusterTag)) {
      mistakes.push({
        path: `${path}.tag`,
        rule: 'must not be a main tag: a cluster’s runners always keep their cluster tag',
      })
    }
  }
  return mistakes
}
