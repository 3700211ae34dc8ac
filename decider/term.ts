import { setMaxListeners } from 'node:events'
import type { GitLabClient } from '../lib/gitlab/types.ts'
import type { PrometheusClient } from '../lib/prometheus/client.ts'
import type { Clock, Random } from '../lib/service/clock.ts'
import type { Log } from '../lib/service/log.ts'
import { CONTROL_PATH, STATUS_PATH, createPublisher, statusBranch } from './act/publisher.ts'
import { createTagWriter } from './act/tag-writer.ts'
import type { WriteGuard } from './act/write-guard.ts'
import { type DeciderConfig, poolsOf, runnerOwnerOf } from './config.ts'
import { type Decision, type LoopDeps, type PoolLoop, createPoolLoop } from './loop.ts'
import type { OwnCapacity, PoolConfig, RunnerView } from './model.ts'
import { capacityOf, capacityQuery, expectedPods, withWorkloads } from './observe/capacity.ts'
import { createGitLabReader } from './observe/gitlab.ts'
import type { WorkloadReader } from './observe/workloads.ts'

export interface TermDeps {
  config: DeciderConfig
  /** Reads and writes runners. */
  runners: GitLabClient
  /** Reads and writes the HADR project; the same client where one token does both. */
  project: GitLabClient
  prometheus: PrometheusClient
  /** Missing: nobody knows how many pods are wanted. */
  readWorkloads?: WorkloadReader
  /** Who writes: a name that differs between replicas, and the program's version. */
  identity: { id: string; version: string }
  dryRun: boolean
  clock: Clock
  random: Random
  log: Log
  /** Another rule in the place of the real one; for proofs that the proofs find fault. */
  decide?: LoopDeps['decide']
}

/** This process speaks for its cluster. */
export interface Leading {
  /** Aborts when that ends for another reason than `stop`: everything under way is given up. */
  lost: AbortSignal
  /** Asked before every write, because a busy process may hear of the loss late. */
  still: () => boolean
}

/** One time of leading: every pool's loop, from fresh memory, until leading is lost or the process stops. */
export interface Term {
  /** Pools that stay keep what they learned; new ones start, and those that are gone end. */
  use(config: DeciderConfig): void
  /** Ends the loops as soon as the writes under way are done, then says `leaving`. Demotes nothing. */
  stop(): Promise<void>
  /** Resolves when every loop has ended. */
  readonly ended: Promise<void>
  /** True, or which pools' loops do not turn. */
  alive(): true | string
  /** True once every pool has decided on a readable GitLab. */
  ready(): true | string
}

interface Part {
  loop: PoolLoop
  stop: AbortController
  running: Promise<void>
  turn: { lastMs: number; readable: boolean }
}

/** Starts every pool's loop. `onDecision` hears of each cycle, but of none that ends after leading was lost. */
export function startTerm(deps: TermDeps, leading: Leading, onDecision: (decision: Decision) => void): Term {
  const { config, clock, log, random, dryRun } = deps
  const parts = new Map<string, Part>()
  /** Loops of pools that are gone may still be finishing a write. */
  const ending = new Set<Promise<void>>()
  const { lost } = leading
  // Each call under way listens, and there are a few for every pool.
  setMaxListeners(0, lost)
  const over = new Promise<void>(resolve => {
    if (lost.aborted) resolve()
    lost.addEventListener('abort', () => resolve(), { once: true })
  })

  const publisher = createPublisher({
    gitlab: deps.project,
    clock,
    project: config.gitlab.project,
    cluster: config.cluster,
    decider: deps.identity,
    pools: () => [...parts.keys()],
    over: lost,
  })
  const readGitLab = createGitLabReader({
    runners: deps.runners,
    project: deps.project,
    clock,
    owner: runnerOwnerOf(config),
    projectId: config.gitlab.project,
    files: { statusPath: STATUS_PATH, controlPath: CONTROL_PATH, statusBranch },
  })
  const tagWriter = createTagWriter({ gitlab: deps.runners, clock })
  const query = capacityQuery(config.prometheus.job)

  async function readPods(runners: readonly RunnerView[], pool: PoolConfig, signal: AbortSignal): Promise<OwnCapacity> {
    try {
      const result = await deps.prometheus.instant(query, signal)
      return capacityOf(result, { runners, sampleMaxAgeMs: pool.timing.sampleMaxAgeMs })
    } catch (error) {
      return { known: false, why: `Prometheus: ${error instanceof Error ? error.message : String(error)}` }
    }
  }

  function start(pool: PoolConfig): Part {
    const stop = new AbortController()
    setMaxListeners(0, stop.signal)
    const guard: WriteGuard = { maySend: () => !stop.signal.aborted && leading.still(), over: lost }
    const turn = { lastMs: clock.monotonicMs(), readable: false }
    let expected: number | undefined
    /** What is known for certain decides; an unknown capacity expects what the last one did. */
    const measured = (own: OwnCapacity, current: PoolConfig): OwnCapacity => {
      if (current.strength !== 'health' || !own.known || own.desired === null) return own
      expected = expectedPods(expected, own.desired, own.available)
      return { ...own, desired: expected }
    }
    const loop = createPoolLoop(pool, {
      runners: deps.runners,
      project: deps.project,
      projectId: config.gitlab.project,
      publisher,
      tagWriter,
      readGitLab,
      readCapacity: async (runners, current, signal) => {
        const reading = deps.readWorkloads?.(current, signal)
        return measured(withWorkloads(await readPods(runners, current, signal), await reading), current)
      },
      clock,
      random,
      log,
      dryRun,
      ...(deps.decide ? { decide: deps.decide } : {}),
      onDecision(decision) {
        if (lost.aborted) return
        turn.lastMs = clock.monotonicMs()
        turn.readable ||= decision.seen.gitlab.readable
        onDecision(decision)
      },
    })
    const running = loop.run(stop.signal, guard)
    ending.add(running)
    void running.finally(() => ending.delete(running))
    return { loop, stop, running, turn }
  }

  const stopAll = (why: string) => {
    for (const { stop } of parts.values()) stop.abort(new Error(why))
  }
  lost.addEventListener('abort', () => stopAll('this process no longer leads'), { once: true })

  function use(wanted: DeciderConfig): void {
    const pools = poolsOf(wanted)
    for (const [name, { stop }] of parts) {
      if (pools.some(pool => pool.name === name)) continue
      stop.abort(new Error(`pool ${name} is no longer configured`))
      parts.delete(name)
    }
    for (const pool of pools) {
      const part = parts.get(pool.name)
      if (part) part.loop.use(pool)
      else parts.set(pool.name, start(pool))
    }
  }
  use(config)

  let stopped: Promise<void> | undefined
  async function stop(): Promise<void> {
    stopAll('the decider stops')
    await Promise.all(ending)
    // A publisher that never published has nothing to take leave from.
    if (!dryRun && leading.still() && publisher.lastPublishMonotonicMs !== undefined) await publisher.leave()
  }

  const waiting = (holds: (part: Part) => boolean, says: string) => {
    const late = [...parts].filter(([, part]) => !holds(part)).map(([name]) => name)
    return late.length === 0 ? true : `${says}: ${late.join(', ')}`
  }
  return {
    use,
    stop: () => (stopped ??= stop()),
    ended: over.then(async () => {
      await Promise.all(ending)
    }),
    alive: () =>
      waiting(({ turn, loop }) => clock.monotonicMs() - turn.lastMs <= stuckAfterMs(loop.pool), 'no cycle lately'),
    ready: () => waiting(({ turn }) => turn.readable, 'GitLab not read yet'),
  }
}

/** Every call in a cycle has a deadline, so that a loop this late hangs for a reason nobody thought of. */
function stuckAfterMs(pool: PoolConfig): number {
  return Math.max(60_000, 6 * pool.timing.pollMs)
}
