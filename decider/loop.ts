import { type Random, withDeadline } from '../lib/service/clock.ts'
import { type ActDeps, type Deed, act } from './act/act.ts'
import { type WriteGuard, guardUntil } from './act/write-guard.ts'
import { decide } from './decide.ts'
import { NO_MEMORY } from './memory.ts'
import type { Memory, Observation, Outcomes, OwnCapacity, Plan, PoolConfig, RunnerView } from './model.ts'
import type { GitLabReader } from './observe/gitlab.ts'

export interface LoopDeps extends Omit<ActDeps, 'look' | 'guard'> {
  readGitLab: GitLabReader
  /** Own capacity; never rejects: what cannot be had is unknown. */
  readCapacity: (runners: readonly RunnerView[], pool: PoolConfig, signal: AbortSignal) => Promise<OwnCapacity>
  random: Random
  /** Decide and record, but write nothing anywhere. */
  dryRun: boolean
  onDecision: (decision: Decision) => void
  /** The rule that decides; another than the protocol's only where a simulation is to catch it. */
  decide?: typeof decide
}

/** One cycle, with all that is needed to decide it again. */
export interface Decision {
  pool: string
  config: PoolConfig
  atMs: number
  seen: Observation
  previous: Memory
  plan: Plan
  deeds: readonly Deed[]
  durationMs: number
}

const NO_OUTCOMES: Outcomes = { wakes: {} }

/** Prometheus and GitLab each get this long to be looked at; at least, since scaled demonstrations have tiny periods. */
const LOOK_MIN_MS = 5000

/**
 * One pool's endless cycle: observe, decide, act. Level-triggered: nothing is carried from cycle to cycle but `Memory`
 * and the outcomes of the last writes. `run` resolves after `signal` aborts, when the write under way is finished.
 * `use` gives the pool another configuration from the next cycle on; what was learned stays.
 */
export function createPoolLoop(initial: PoolConfig, deps: LoopDeps) {
  const { clock, log, publisher, decide: rule = decide } = deps
  let current = initial
  let memory: Memory = NO_MEMORY
  let outcomes: Outcomes = NO_OUTCOMES
  let lastSaid = ''
  let lastDryRunMs: number | undefined

  const lookMs = ({ timing }: PoolConfig) => Math.max(LOOK_MIN_MS, timing.pollMs)
  const look = (pool: PoolConfig, stopping: AbortSignal, contactOf: readonly number[] = []) =>
    withDeadline(clock, lookMs(pool), signal => deps.readGitLab(pool, contactOf, signal), stopping)

  async function observe(pool: PoolConfig, stopping: AbortSignal): Promise<Observation> {
    // The instant before the look: what the look shows is at least as new.
    const at = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() }
    const seen = await look(pool, stopping, askedRunners(memory))
    if (!seen.readable) {
      return { ...at, gitlab: { readable: false, why: seen.why }, own: { known: false, why: 'not asked' }, outcomes }
    }
    if (seen.ownDocument) publisher.adopt(seen.ownDocument)
    const ours = seen.view.runners.filter(runner => runner.cluster === pool.self)
    const own = await withDeadline(clock, lookMs(pool), signal => deps.readCapacity(ours, pool, signal), stopping)
    const ownSeqPublished = seen.ownDocument && publisher.publishedAt(seen.ownDocument.seq)
    const ownWord = publisher.wordOf(pool.name)
    const lastPublishMonotonicMs = deps.dryRun ? lastDryRunMs : publisher.lastPublishMonotonicMs
    return {
      ...at,
      gitlab: seen.view,
      own,
      outcomes: {
        ...outcomes,
        ...(lastPublishMonotonicMs === undefined ? {} : { lastPublishMonotonicMs }),
        ...latestDoubt(outcomes.doubtMonotonicMs, publisher.doubtMonotonicMs),
        ...(ownSeqPublished === undefined ? {} : { ownSeqPublishedMonotonicMs: ownSeqPublished }),
        ...(ownWord ? { ownWord } : {}),
      },
    }
  }

  async function cycle(stopping: AbortSignal, guard: WriteGuard): Promise<void> {
    const pool = current
    const startMs = clock.monotonicMs()
    const seen = await observe(pool, stopping)
    // A look that was broken off shows nothing, and after it nothing may be written anyway.
    if (stopping.aborted) return
    const previous = memory
    const plan = rule(seen, previous, pool)
    memory = plan.next
    say(plan, pool)
    // A dry run reckons as if it had published, or it would take itself for cut off and tell nothing but that.
    if (deps.dryRun) lastDryRunMs = seen.monotonicMs
    const acting = { ...deps, guard, look: () => look(pool, stopping) }
    const done = deps.dryRun ? { wakes: {}, deeds: [] } : await act(plan, seen, pool, acting)
    const { deeds, ...rest } = done
    outcomes = { ...NO_OUTCOMES, ...rest }
    for (const deed of deeds) {
      if (deed.result === 'done' || deed.result === 'unchanged') continue
      log.warn({ pool: pool.name, ...deed }, `${deed.operation} ${deed.result}`)
    }
    const durationMs = clock.monotonicMs() - startMs
    deps.onDecision({ pool: pool.name, config: pool, atMs: seen.wallMs, seen, previous, plan, deeds, durationMs })
  }

  /** One line per change of state or of what is done, not per cycle. */
  function say({ state, step, explain, alerts }: Plan, pool: PoolConfig): void {
    const alarm = alerts.map(alert => alert.kind)
    const saying = JSON.stringify([state, step.kind, alarm])
    if (saying === lastSaid) return
    lastSaid = saying
    const fields = { pool: pool.name, state, step: step.kind, ...(alerts.length > 0 ? { alerts } : {}) }
    if (alerts.length > 0) log.warn(fields, explain)
    else log.info(fields, explain)
  }

  return {
    get pool() {
      return current
    },
    use(pool: PoolConfig): void {
      current = pool
    },
    async run(signal: AbortSignal, guard: WriteGuard = guardUntil(signal)): Promise<void> {
      while (!signal.aborted) {
        const startMs = clock.monotonicMs()
        try {
          await cycle(signal, guard)
        } catch (error) {
          // A bug must not end the loop: whatever was missed, the next cycle sees again.
          log.error({ pool: current.name, err: error }, 'the cycle failed unexpectedly')
        }
        const periodMs = current.timing.pollMs * (0.95 + 0.1 * deps.random())
        const restMs = Math.max(periodMs - (clock.monotonicMs() - startMs), periodMs / 10)
        await clock.sleep(restMs, signal).catch(() => undefined)
      }
    },
  }
}

export type PoolLoop = ReturnType<typeof createPoolLoop>

function latestDoubt(...doubts: (number | undefined)[]): Pick<Outcomes, 'doubtMonotonicMs'> {
  const known = doubts.filter(doubt => doubt !== undefined)
  return known.length > 0 ? { doubtMonotonicMs: Math.max(...known) } : {}
}

/** Runners whose contact time decides a probe now. */
function askedRunners(memory: Memory): number[] {
  return Object.values(memory.peers).flatMap(({ probe }) =>
    probe && probe.phase !== 'inconclusive' ? Object.keys(probe.before).map(Number) : [],
  )
}
