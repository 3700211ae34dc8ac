import { OPERATIONS } from '../act/act.ts'
import { WRITE_RESULTS } from '../act/tag-writer.ts'
import { STATES } from '../model.ts'
import { VERDICTS } from './problems.ts'

const instant = { type: 'string', format: 'date-time' } as const
const count = { type: 'integer', minimum: 0 } as const
const names = { type: 'array', items: { type: 'string' } } as const
const ids = { type: 'array', items: { type: 'integer' } } as const

/** All given properties are required, but for those named; what a later version adds is allowed. */
function object<Properties extends Readonly<Record<string, object>>>(
  properties: Properties,
  { optional = [], ...more }: { optional?: readonly (keyof Properties & string)[]; description?: string } = {},
) {
  return {
    type: 'object',
    ...more,
    required: Object.keys(properties).filter(name => !optional.includes(name)),
    properties,
  } as const
}

const orNull = (schema: object) => ({ oneOf: [{ type: 'null' }, schema] })

const alert = (kind: string, properties: Readonly<Record<string, object>>) =>
  object({ kind: { const: kind }, ...properties })

const cluster = object({
  name: { type: 'string' },
  tag: { type: 'string', description: 'the tag that its runners always keep' },
  self: { type: 'boolean', description: 'the cluster of the decider that answers' },
  active: { type: 'boolean', description: 'its status file claims the main tag' },
  epoch: { type: ['integer', 'null'], minimum: 0, description: 'of its claim; the higher one wins' },
  score: { type: 'number', minimum: 0, description: 'the strength that is reckoned with' },
  available: { type: ['integer', 'null'], minimum: 0, description: 'pods that can take jobs; null: unknown' },
  total: { type: ['integer', 'null'], minimum: 0, description: 'pods' },
  desired: { type: ['integer', 'null'], minimum: 0, description: 'pods that are asked for; null: unknown' },
  reason: { type: ['string', 'null'], description: 'the state that its decider published last' },
  runners: { ...count, description: 'runners in GitLab with its tag' },
  holding: { ...count, description: 'those that carry the main tag and are not paused' },
  presence: { enum: ['absent', 'unknown', 'known'], description: 'of its status file; unknown: not understood' },
  live: { type: 'boolean', description: 'not taken for dead' },
  proven: { type: 'boolean', description: 'its status file changed lately while this decider watched' },
  heartbeatAgeSeconds: { type: ['number', 'null'], minimum: 0, description: 'null: never heard of, or this cluster' },
  effective: { type: 'boolean', description: 'serves the main tag, as far as this decider knows' },
})

const wish = { until: instant, by: { type: 'string' }, why: { type: 'string' } }

const words = { type: 'array', items: { type: 'string' } } as const
const fleet = object(
  {
    at: { ...orNull(instant), description: 'when it last looked' },
    scale: { enum: ['export', 'patch'], description: 'patch: the decider scales the Deployment itself' },
    dryRun: { type: 'boolean' },
    desired: { ...orNull(count), description: 'runner managers that this cluster should have' },
    replicas: { ...orNull(count), description: 'runner managers that are asked for now' },
    running: { ...count, description: 'jobs' },
    pending: { ...count, description: 'jobs that wait for this cluster, as far as is known' },
    managers: { ...count, description: 'those that Prometheus shows' },
    idle: { ...count, description: 'of them without a job' },
    slots: { ...orNull(count), description: 'jobs that one manager runs at once' },
    explain: { type: 'string', description: 'why it is this number' },
    problems: { ...words, description: 'what keeps it from following the demand; also among those of the pool' },
    housekeeping: { ...words, description: 'what the last round did, or would have done' },
  },
  { description: 'only of a pool whose runner managers follow the demand' },
)

const poolProperties = {
  pool: { type: 'string' },
  mainTag: { type: 'string' },
  verdict: { enum: VERDICTS, description: 'nobody: no cluster holds the main tag; degraded: see problems' },
  problems: {
    type: 'array',
    description: 'the worst first; critical: jobs wait or soon will',
    items: object({ level: { enum: ['critical', 'warning'] }, text: { type: 'string' } }),
  },
  state: { enum: STATES },
  explain: { type: 'string', description: 'why this and nothing else, in a sentence' },
  at: { ...instant, description: 'the start of the newest cycle' },
  holders: { ...names, description: 'clusters that hold the main tag, as last read' },
  timeline: {
    type: 'array',
    maxItems: 200,
    description: 'changes of the holders as this process saw them, oldest first',
    items: object({ at: instant, holders: { ...orNull(names), description: 'null: GitLab could not be read' } }),
  },
  pause: orNull(object(wish)),
  pin: orNull(
    object({
      ...wish,
      to: { type: 'string' },
      force: { type: 'boolean' },
      refused: { type: ['string', 'null'], description: 'why nothing comes of it now' },
    }),
  ),
  gitlabReadable: { type: 'boolean' },
  clusters: { type: 'array', items: cluster, description: 'as last read; empty until GitLab could be read' },
  alerts: {
    type: 'array',
    items: {
      oneOf: [
        alert('config_mismatch', { clusters: names }),
        alert('foreign_main_tag', { runnerIds: ids }),
        alert('unreadable_file', { cluster: { type: 'string' }, why: { type: 'string' } }),
        alert('unreadable_control', { why: { type: 'string' } }),
        alert('peer_decider_down', { cluster: { type: 'string' } }),
        alert('pin_refused', { to: { type: 'string' }, why: { type: 'string' } }),
        alert('cannot_publish', { forMs: { type: 'number', minimum: 0 } }),
      ],
    },
  },
  decisions: {
    type: 'array',
    maxItems: 50,
    description: 'those that changed the state or wrote more than a heartbeat, oldest first',
    items: object({
      id: { ...count, description: 'finds the whole of it: /status/decisions?pool=…&id=…' },
      at: instant,
      state: { enum: STATES },
      step: { enum: ['none', 'promote', 'demote', 'tend'] },
      explain: { type: 'string' },
      deeds: {
        type: 'array',
        items: object(
          {
            operation: { enum: OPERATIONS },
            result: { enum: WRITE_RESULTS },
            runnerId: { type: 'integer' },
            why: { type: 'string' },
          },
          { optional: ['runnerId', 'why'] },
        ),
      },
    }),
  },
  fleet,
}
const pool = object(poolProperties, { optional: ['fleet'] })

const jobs = object({
  running: { ...count, description: 'pods of jobs that run now' },
  waiting: { ...count, description: 'jobs that ended and whose metrics are not collected yet' },
  stored: { ...count, description: 'jobs whose metrics are kept on disk' },
  storedBytes: count,
  namespaces: {
    type: 'array',
    description: 'those that are watched',
    items: object({
      name: { type: 'string' },
      silentSeconds: { type: ['number', 'null'], minimum: 0, description: 'null: never listed yet' },
    }),
  },
  failingQueries: {
    type: 'array',
    description: 'queries that Prometheus refused or did not answer when they were last asked',
    items: object({ query: { type: 'string' }, message: { type: 'string' }, at: instant }),
  },
})

/** What `/status` answers with; published as docs/status.schema.json. */
export const statusSchema = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'gitlab-runner-hadr: /status of a decider',
  ...object(
    {
      schema: { const: 1 },
      at: { ...instant, description: 'now, by the decider’s clock' },
      cluster: { type: 'string' },
      decider: object({ id: { type: 'string' }, version: { type: 'string' } }),
      dryRun: { type: 'boolean', description: 'it decides, but writes nothing' },
      role: { enum: ['leader', 'standby'], description: 'a replica that stands by has no pools to tell of' },
      leader: { type: ['string', 'null'], description: 'who leads, as far as this process knows; null: nobody' },
      pools: { type: 'array', items: pool, description: 'those that have decided at least once' },
      jobs,
    },
    { optional: ['jobs'], description: 'A later version may add properties; what is here keeps its meaning.' },
  ),
}
