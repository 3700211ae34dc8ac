import type { Registry } from 'prom-client'
import { type DeciderConfig, poolsOf, restartKeys } from './config.ts'
import type { Fleet } from './fleet/fleet.ts'
import { withFleet } from './fleet/report.ts'
import type { Decision } from './loop.ts'
import { type DeciderMetrics, createDeciderMetrics } from './metrics.ts'
import type { JobsStatus } from './jobs/jobs.ts'
import type { EventReporter } from './status/events.ts'
import { type DecisionRecords, createDecisionRecords } from './status/records.ts'
import { type PoolReport, type StatusBook, createStatusBook } from './status/report.ts'
import { type Leading, type Term, type TermDeps, startTerm } from './term.ts'

/** Where the processes of one cluster agree on who of them leads. */
export interface Campaign {
  /** Whether this process leads right now. */
  readonly leading: boolean
  /** Who leads, as far as this process knows; empty: nobody. */
  readonly holder: string | undefined
  /** Gives the lease up. */
  stop(): Promise<void>
}

export interface DeciderDeps extends TermDeps {
  registry: Registry
  /**
   * Begins to run for the lease; `onLeading` is called each time it is won, with a signal that aborts when it is lost.
   * Missing: this process is alone and leads.
   */
  campaign?: (onLeading: (lost: AbortSignal) => void) => Campaign
  events?: EventReporter
  /** Where the number of runners follows the demand; works beside the cycles and delays none. */
  fleet?: Fleet
  /** Undefined: the metrics of jobs are not kept. */
  jobsStatus?: () => JobsStatus | undefined
}

export interface Decider {
  /** Starts to lead, or to run for the lease. */
  start(): void
  /** Lets the writes under way end, says `leaving`, and gives the lease up. Demotes nothing. Safe to call twice. */
  stop(): Promise<void>
  /** True, or which pools' loops do not turn. A process that does not lead has none and lives. */
  alive(): true | string
  /** True once every pool has decided on a readable GitLab, or when another process leads. */
  ready(): true | string
  /**
   * Works with another configuration from the next cycles on; what was learned of pools that stay is kept. Answers with the
   * keys that only a restart can change, if any differs: then nothing is changed at all.
   */
  reconfigure(config: DeciderConfig): readonly string[]
  status(): StatusReport
  /** The decisions that are kept, newest last. */
  records(): Readonly<Record<string, DecisionRecords>>
  metrics: DeciderMetrics
}

export interface StatusReport {
  /** Version of this document; what a later one only adds does not change it. */
  schema: 1
  /** Now, by the decider's clock; ages are reckoned from here. */
  at: string
  cluster: string
  decider: { id: string; version: string }
  dryRun: boolean
  /** Whether this process acts for its cluster; one that does not has no pools to tell of. */
  role: 'leader' | 'standby'
  /** Who leads, as far as this process knows; null: nobody. */
  leader: string | null
  pools: PoolReport[]
  /** What this process keeps of jobs' metrics, whether it leads or not; only where that is configured. */
  jobs?: JobsStatus
}

const NEVER = () => new AbortController().signal

/** The decider of one cluster: a term of work for as long as it leads, one after the other, never two at once. */
export function createDecider(deps: DeciderDeps): Decider {
  const { identity, dryRun, log, events, fleet } = deps
  let { config } = deps
  const metrics = createDeciderMetrics(deps.registry)
  const records = new Map<string, DecisionRecords>()
  let books = new Map<string, StatusBook>()
  let campaign: Campaign | undefined
  let term: Term | undefined
  let before: Promise<void> = Promise.resolve()
  let stopped: Promise<void> | undefined

  const leads = () => term !== undefined && (campaign?.leading ?? true)

  function leaderName(): string | null {
    if (!campaign) return identity.id
    const { holder = '' } = campaign
    return holder === '' ? null : holder
  }

  function openBooks(): void {
    const pools = poolsOf(config)
    metrics.use(pools)
    const open = new Map<string, StatusBook>()
    for (const pool of pools) {
      const kept = records.get(pool.name) ?? createDecisionRecords()
      records.set(pool.name, kept)
      open.set(pool.name, books.get(pool.name) ?? createStatusBook(kept))
    }
    for (const name of records.keys()) if (!open.has(name)) records.delete(name)
    books = open
  }

  function onDecision(decision: Decision): void {
    const book = books.get(decision.pool)
    if (!book) return
    book.record(decision)
    metrics.record(decision, decision.config)
    events?.record(decision)
    fleet?.record(decision)
  }

  async function lead(leading: Leading): Promise<void> {
    if (leading.lost.aborted || stopped) return
    openBooks()
    metrics.lead(true)
    const mine = startTerm({ ...deps, config }, leading, onDecision)
    fleet?.lead(leading)
    term = mine
    leading.lost.addEventListener(
      'abort',
      () => {
        term = undefined
        books = new Map()
        metrics.lead(false)
      },
      { once: true },
    )
    await mine.ended
  }

  function onLeading(lost: AbortSignal): void {
    const leading = { lost, still: () => !lost.aborted && (campaign?.leading ?? true) }
    before = before.then(() => lead(leading))
    before.catch((error: unknown) => log.error({ err: error }, 'a term of leading failed unexpectedly'))
  }

  async function stop(): Promise<void> {
    await Promise.all([term?.stop(), fleet?.stop()])
    await campaign?.stop()
  }

  return {
    metrics,
    start() {
      if (!deps.campaign) {
        void lead({ lost: NEVER(), still: () => true })
        return
      }
      metrics.lead(false)
      campaign = deps.campaign(onLeading)
    },
    stop: () => (stopped ??= stop()),
    alive: () => term?.alive() ?? true,
    ready: () => term?.ready() ?? true,
    reconfigure(wanted) {
      const refused = restartKeys(config, wanted)
      if (refused.length > 0) return refused
      config = wanted
      fleet?.use(config)
      if (term) {
        openBooks()
        term.use(config)
      }
      return []
    },
    records: () => Object.fromEntries(records),
    status: () => ({
      schema: 1,
      at: new Date(deps.clock.wallMs()).toISOString(),
      cluster: config.cluster,
      decider: identity,
      dryRun,
      role: leads() ? 'leader' : 'standby',
      leader: leaderName(),
      pools: leads()
        ? [...books.values()]
            .map(book => book.report(deps.clock.wallMs()))
            .filter(report => report !== undefined)
            .map(report => withFleet(report, fleet?.report(report.pool)))
        : [],
      ...jobsOf(deps),
    }),
  }
}

function jobsOf({ jobsStatus }: Pick<DeciderDeps, 'jobsStatus'>): Pick<StatusReport, 'jobs'> {
  const jobs = jobsStatus?.()
  return jobs ? { jobs } : {}
}
