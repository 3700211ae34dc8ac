import { decide } from '../../decider/decide.ts'
import { NO_MEMORY } from '../../decider/memory.ts'
import type { Memory, Observation, Outcomes, Plan, PoolConfig, PoolStatus, Step, Word } from '../../decider/model.ts'
import { type Cluster, WALL_ZERO_MS } from './cluster-truth.ts'
import type { World } from './scenario.ts'

/** Every decider's monotonic clock has a zero of its own. */
const MONOTONIC_ZERO_MS = 5_000_000

/** One real decider: `decide` on what it sees, and a plain carrying out of what it plans. */
export class Decider {
  memory: Memory = NO_MEMORY
  running = true
  /** GitLab cannot be reached from here. */
  cutOff = false
  /** `ambiguous`: lands, but the answer is lost. `late`: lands, if ever, when the scenario says so. */
  publishing: 'works' | 'fails' | 'ambiguous' | 'late' = 'works'
  /** What was sent and has not landed, the oldest first. */
  readonly late: { seq: number; status: PoolStatus }[] = []
  /** What a removal meets: `expires` is never sent, `lost` is sent and nobody knows whether it lands. */
  removing: 'works' | 'expires' | 'lost' = 'works'
  waking: 'works' | 'fails' = 'works'
  /** Added to the clocks that this process sees. */
  wallSkewMs = 0
  monotonicSkewMs = 0
  plans: { atMs: number; plan: Plan; seen: Observation }[] = []
  private outcomes: Outcomes = { wakes: {} }
  private lastPublishMonotonicMs: number | undefined
  private doubtMonotonicMs: number | undefined
  private published = new Map<number, number>()
  private seq = 0
  private word: Word | undefined

  constructor(
    private readonly world: World,
    readonly cluster: Cluster,
    readonly config: PoolConfig,
  ) {}

  get plan(): Plan {
    const last = this.plans.at(-1)
    if (!last) throw new Error('no cycle yet')
    return last.plan
  }

  get step(): Step {
    return this.plan.step
  }

  /** Whether this cycle promotes, and why. */
  get promotes(): string | undefined {
    return this.step.kind === 'promote' ? this.step.cause : undefined
  }

  get demotes(): boolean {
    return this.step.kind === 'demote'
  }

  get adds(): readonly number[] {
    return this.step.kind === 'tend' || this.step.kind === 'promote' ? this.step.addIds : []
  }

  /** Runner ids that this cycle fences. */
  get fences(): number[] {
    return this.step.kind === 'tend' ? this.step.fence.flatMap(fence => fence.runnerIds) : []
  }

  get probes(): number[] {
    return this.plan.probes.flatMap(probe => probe.runnerIds)
  }

  get alerts(): string[] {
    return this.plan.alerts.map(alert => alert.kind)
  }

  /** Every step but `none` since the cycle number `from`. */
  steps(from = 0): string[] {
    return this.plans
      .slice(from)
      .map(({ plan }) => plan.step.kind)
      .filter(kind => kind !== 'none')
  }

  /** The process is replaced: nothing is remembered, the monotonic clock has another zero. */
  restarts(): void {
    this.memory = NO_MEMORY
    this.outcomes = { wakes: {} }
    this.lastPublishMonotonicMs = undefined
    this.doubtMonotonicMs = undefined
    this.published.clear()
    this.seq = 0
    this.word = undefined
    this.monotonicSkewMs += 123_456
  }

  observe(): Observation {
    const { world } = this
    const at = {
      monotonicMs: MONOTONIC_ZERO_MS + world.nowMs + this.monotonicSkewMs,
      wallMs: WALL_ZERO_MS + world.nowMs + this.wallSkewMs,
    }
    if (world.gitlabDown || this.cutOff) {
      const why = 'no answer'
      return { ...at, gitlab: { readable: false, why }, own: { known: false, why }, outcomes: this.outcomes }
    }
    const known = new Set(this.config.clusters.map(({ name }) => name))
    const runners = [...world.clusters.values()].flatMap(cluster => cluster.runners)
    const seenRunners = runners.map(runner => ({
      ...runner,
      cluster: runner.cluster !== null && known.has(runner.cluster) ? runner.cluster : null,
    }))
    const files = this.config.clusters.map(
      ({ name }) => [name, world.clusters.get(name)?.file ?? { kind: 'absent' as const }] as const,
    )
    const ownSeqPublished = this.published.get(this.cluster.seq)
    return {
      ...at,
      gitlab: {
        readable: true,
        serverMs: world.serverMs,
        runners: [...seenRunners, ...world.strays],
        files: Object.fromEntries(files),
        control: world.control,
      },
      own: this.cluster.ownCapacity(),
      outcomes: {
        ...this.outcomes,
        ...(this.lastPublishMonotonicMs === undefined ? {} : { lastPublishMonotonicMs: this.lastPublishMonotonicMs }),
        ...(this.doubtMonotonicMs === undefined ? {} : { doubtMonotonicMs: this.doubtMonotonicMs }),
        ...(ownSeqPublished === undefined ? {} : { ownSeqPublishedMonotonicMs: ownSeqPublished }),
        ...(this.word ? { ownWord: this.word } : {}),
      },
    }
  }

  cycle(): void {
    const seen = this.observe()
    const plan = decide(seen, this.memory, this.config)
    this.memory = plan.next
    this.plans.push({ atMs: this.world.nowMs, plan, seen })
    this.outcomes = this.carryOut(plan, seen.monotonicMs)
  }

  private carryOut({ publish, step, probes }: Plan, nowMs: number): Outcomes {
    if (publish) this.publish(publish, nowMs)
    let removal: Partial<Outcomes> = {}
    if (step.kind === 'promote') {
      const claimed = this.publish(step.status, nowMs)
      if (claimed || step.cause === 'emergency' || step.cause === 'last_resort') this.setTags(step.addIds, true)
    } else if (step.kind === 'demote') {
      if (this.publish(step.status, nowMs) && this.removing !== 'expires') {
        if (this.removing === 'works') this.setTags(step.removeIds, false)
        removal = { removalSentServerMs: this.world.serverMs }
      }
    } else if (step.kind === 'tend') {
      this.setTags(step.addIds, true)
      this.setTags(
        step.fence.flatMap(({ runnerIds }) => runnerIds),
        false,
      )
    }
    const wakes = Object.fromEntries(probes.map(({ cluster, runnerIds }) => [cluster, this.wake(cluster, runnerIds)]))
    return { wakes, ...removal }
  }

  private publish(status: PoolStatus, nowMs: number): boolean {
    if (this.publishing === 'fails') return false
    const { cluster } = this
    this.seq = Math.max(this.seq, cluster.seq) + 1
    const file = { seq: this.seq, status }
    this.word = { seq: file.seq, epoch: status.epoch, active: status.active }
    if (this.publishing === 'late') this.late.push(file)
    else cluster.file = { kind: 'read', ...file }
    if (this.publishing === 'ambiguous' || this.publishing === 'late') {
      this.doubtMonotonicMs = nowMs
      return false
    }
    this.lastPublishMonotonicMs = nowMs
    this.published.set(cluster.seq, nowMs)
    return true
  }

  /** The oldest publish under way lands, whatever landed since. */
  lands(): void {
    const file = this.late.shift()
    if (!file) throw new Error('nothing is under way')
    this.cluster.file = { kind: 'read', ...file }
  }

  private setTags(ids: readonly number[], tagged: boolean): void {
    for (const cluster of this.world.clusters.values()) {
      for (const runner of cluster.runners) if (ids.includes(runner.id)) runner.tagged = tagged
    }
  }

  private wake(name: string, ids: readonly number[]): Record<number, number | null> {
    if (this.waking === 'fails') return {}
    const cluster = this.world.cluster(name)
    const woken = cluster.runners.filter(runner => ids.includes(runner.id))
    const contact = (atMs: number) => {
      for (const runner of woken) runner.contactedAtMs = atMs
    }
    if (cluster.answers === 'early') contact(this.world.serverMs + 500)
    const before = Object.fromEntries(woken.map(runner => [runner.id, runner.contactedAtMs ?? null]))
    if (cluster.answers === true) contact(this.world.serverMs + 1000)
    return before
  }
}
