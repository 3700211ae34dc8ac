import type { Registry } from 'prom-client'
import type { GitLabClient } from '../lib/gitlab/types.ts'
import type { PrometheusClient } from '../lib/prometheus/client.ts'
import type { Clock, Random } from '../lib/service/clock.ts'
import type { Log } from '../lib/service/log.ts'
import { type Publisher, CONTROL_PATH, STATUS_PATH, createPublisher, statusBranch } from './act/publisher.ts'
import { createTagWriter } from './act/tag-writer.ts'
import { type DeciderConfig, poolsOf } from './config.ts'
import { type LoopDeps, createPoolLoop } from './loop.ts'
import { type DeciderMetrics, createDeciderMetrics } from './metrics.ts'
import type { OwnCapacity, PoolConfig, RunnerView } from './model.ts'
import { capacityOf, capacityQuery } from './observe/capacity.ts'
import { createGitLabReader } from './observe/gitlab.ts'
import { type PoolReport, createStatusBook } from './status/report.ts'

export interface DeciderDeps {
  config: DeciderConfig
  /** Reads and writes runners. `countRequest` of the metrics is the caller's to wire. */
  runners: GitLabClient
  /** Reads and writes the HADR project; the same client where one token does both. */
  project: GitLabClient
  prometheus: PrometheusClient
  /** Who writes: a name that differs between replicas, and the program's version. */
  identity: { id: string; version: string }
  dryRun: boolean
  registry: Registry
  clock: Clock
  random: Random
  log: Log
  decide?: LoopDeps['decide']
}

export interface Decider {
  /** Starts every pool's loop; they end only by `stop`. */
  start(): void
  /** Lets the writes under way end, then says `leaving`. Demotes nothing. */
  stop(): Promise<void>
  /** True, or which pools' loops do not turn. */
  alive(): true | string
  /** True once every pool has decided on a readable GitLab. */
  ready(): true | string
  status(): StatusReport
  metrics: DeciderMetrics
}

export interface StatusReport {
  cluster: string
  decider: { id: string; version: string }
  dryRun: boolean
  pools: PoolReport[]
}

export function createDecider(deps: DeciderDeps): Decider {
  const { config, clock, log, random, registry, identity, dryRun } = deps
  const pools = poolsOf(config)
  const metrics = createDeciderMetrics(registry, pools)
  const publisher = createPublisher({
    gitlab: deps.project,
    clock,
    project: config.gitlab.project,
    cluster: config.cluster,
    decider: identity,
  })
  const readGitLab = createGitLabReader({
    runners: deps.runners,
    project: deps.project,
    clock,
    groupId: config.gitlab.group,
    projectId: config.gitlab.project,
    files: { statusPath: STATUS_PATH, controlPath: CONTROL_PATH, statusBranch },
  })
  const tagWriter = createTagWriter({ gitlab: deps.runners, clock })
  const query = capacityQuery(config.prometheus.job)

  async function readCapacity(
    runners: readonly RunnerView[],
    pool: PoolConfig,
    signal: AbortSignal,
  ): Promise<OwnCapacity> {
    try {
      const result = await deps.prometheus.instant(query, signal)
      return capacityOf(result, { runners, sampleMaxAgeMs: pool.timing.sampleMaxAgeMs })
    } catch (error) {
      return { known: false, why: `Prometheus: ${error instanceof Error ? error.message : String(error)}` }
    }
  }

  const parts = pools.map(pool => {
    const book = createStatusBook(pool)
    const turn = { lastMs: clock.monotonicMs(), readable: false }
    const loop = createPoolLoop(pool, {
      runners: deps.runners,
      project: deps.project,
      projectId: config.gitlab.project,
      publisher,
      tagWriter,
      readGitLab,
      readCapacity,
      clock,
      random,
      log,
      dryRun,
      ...(deps.decide ? { decide: deps.decide } : {}),
      onDecision(decision) {
        turn.lastMs = clock.monotonicMs()
        turn.readable ||= decision.seen.gitlab.readable
        book.record(decision)
        metrics.record(decision, pool)
      },
    })
    return { pool, book, loop, turn }
  })

  const stopping = new AbortController()
  let running: Promise<unknown> = Promise.resolve()

  return {
    metrics,
    start() {
      running = Promise.all(parts.map(({ loop }) => loop.run(stopping.signal)))
    },
    async stop() {
      stopping.abort(new Error('the decider stops'))
      await running
      if (!dryRun) await leave(publisher)
    },
    alive() {
      const stuck = parts.filter(({ turn, pool }) => clock.monotonicMs() - turn.lastMs > stuckAfterMs(pool))
      return stuck.length === 0 ? true : `no cycle lately: ${stuck.map(({ pool }) => pool.name).join(', ')}`
    },
    ready() {
      const waiting = parts.filter(({ turn }) => !turn.readable)
      return waiting.length === 0 ? true : `GitLab not read yet: ${waiting.map(({ pool }) => pool.name).join(', ')}`
    },
    status: () => ({
      cluster: config.cluster,
      decider: identity,
      dryRun,
      pools: parts.map(({ book }) => book.report()).filter(report => report !== undefined),
    }),
  }
}

/** Every call in a cycle has a deadline, so that a loop this late hangs for a reason nobody thought of. */
function stuckAfterMs(pool: PoolConfig): number {
  return Math.max(60_000, 6 * pool.timing.pollMs)
}

/** A publisher that never published has nothing to take leave from. */
async function leave(publisher: Publisher): Promise<void> {
  if (publisher.lastPublishMonotonicMs !== undefined) await publisher.leave()
}
