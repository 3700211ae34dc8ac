import { decide } from '../../decider/decide.ts'
import { NO_MEMORY } from '../../decider/memory.ts'
import type {
  Control,
  ControlReading,
  FileReading,
  Memory,
  Observation,
  Outcomes,
  OwnCapacity,
  Plan,
  PoolConfig,
  PoolStatus,
  RunnerView,
  Step,
} from '../../decider/model.ts'
import { digestOf } from '../../decider/pool.ts'
import { timingOf } from '../../decider/timing.ts'

/** The deciders' wall clock when a scenario starts. GitLab's is 7 s ahead, so that nobody can mix the two up. */
const WALL_ZERO_MS = Date.UTC(2026, 0, 1)
const SERVER_AHEAD_MS = 7000
/** Every decider's monotonic clock has a zero of its own. */
const MONOTONIC_ZERO_MS = 5_000_000

export const MAIN_TAG = 'rnd-runner'
export type RunnerTruth = { -readonly [Key in keyof RunnerView]: RunnerView[Key] }

/** A pool as `self` is configured to see it: count mode, balanced profile, a before b before c. */
export function poolOf(
  self: string,
  names: readonly string[] = ['a', 'b'],
  more: Partial<PoolConfig> = {},
): PoolConfig {
  const clusters = names.map((name, index) => ({ name, tag: `runner-${name}`, priority: -index, weight: 1 }))
  const pool = { mainTag: MAIN_TAG, strength: 'count' as const, clusters, ...more }
  return {
    name: 'rnd',
    self,
    margin: 1,
    marginRatio: 0.2,
    timing: timingOf('balanced'),
    ...pool,
    digest: more.digest ?? digestOf(pool),
  }
}

/** What a cluster really is. Tests change its fields at will. */
export class Cluster {
  file: FileReading = { kind: 'absent' }
  /** Pods that can take jobs; null: its Prometheus does not tell. */
  pods: number | null
  /** In place of what `pods` says. */
  capacity: OwnCapacity | undefined
  /** A scripted decider publishes each heartbeat. A real one (`World.decider`) does that itself. */
  speaks = true
  /** Its runners turn to GitLab when they are woken; `early`: right before that, by themselves, and never again. */
  answers: boolean | 'early' = true
  runners: RunnerTruth[]
  /** Monotonic. */
  spokeMs = -Infinity

  constructor(
    readonly name: string,
    runnerIds: readonly number[],
    readonly digest: string,
    pods: number,
  ) {
    this.pods = pods
    this.runners = runnerIds.map(id => ({
      id,
      cluster: name,
      tagged: false,
      paused: false,
      online: true,
      contactedAtMs: WALL_ZERO_MS,
    }))
  }

  get seq(): number {
    return this.file.kind === 'read' ? this.file.seq : 0
  }

  get status(): PoolStatus | undefined {
    return this.file.kind === 'read' ? this.file.status : undefined
  }

  /** Publishes: the newest status with `change`, under the next seq. */
  says(change: Partial<PoolStatus>): void {
    const silent: PoolStatus = {
      digest: this.digest,
      epoch: 0,
      active: false,
      available: this.pods,
      total: this.pods ?? 0,
      desired: null,
      lastKnown: this.pods ?? 0,
      unknownForSeconds: 0,
      servingIds: this.runners.map(runner => runner.id),
      reason: '',
    }
    this.file = { kind: 'read', seq: this.seq + 1, status: { ...silent, ...this.status, ...change } }
  }

  /** Its Prometheus shows another number of pods, and its scripted decider says so at once. */
  reports(pods: number | null): void {
    this.pods = pods
    const servingIds = pods === 0 ? [] : this.runners.map(runner => runner.id)
    this.says({ available: pods, ...(pods === null ? {} : { total: pods, lastKnown: pods, servingIds }) })
  }

  tag(...ids: readonly number[]): void {
    for (const runner of this.runners) if (ids.length === 0 || ids.includes(runner.id)) runner.tagged = true
  }

  untag(): void {
    for (const runner of this.runners) runner.tagged = false
  }

  get taggedIds(): number[] {
    return this.runners.filter(runner => runner.tagged).map(runner => runner.id)
  }

  /** Neither its decider nor its runners do anything any more. GitLab goes on calling the runners online. */
  dies(): void {
    this.speaks = false
    this.answers = false
  }

  ownCapacity(): OwnCapacity {
    if (this.capacity) return this.capacity
    if (this.pods === null) return { known: false, why: 'Prometheus does not answer' }
    const servingIds = this.pods > 0 ? this.runners.map(runner => runner.id) : []
    return { known: true, available: this.pods, unknownPods: 0, total: this.pods, desired: null, servingIds }
  }
}

/** GitLab, the clusters and the deciders under test on one hand-driven clock. */
export class World {
  /** Since the scenario began. */
  nowMs = 0
  gitlabDown = false
  control: ControlReading = { kind: 'read', control: {} }
  /** Runners of no cluster or of several. */
  strays: RunnerTruth[] = []
  readonly clusters: ReadonlyMap<string, Cluster>
  readonly deciders: Decider[] = []

  constructor(names: readonly string[] = ['a', 'b'], runnersPerCluster = 1) {
    const { digest } = poolOf('a', names)
    this.clusters = new Map(
      names.map((name, index) => {
        const ids = Array.from({ length: runnersPerCluster }, (_, more) => 10 * (index + 1) + more)
        return [name, new Cluster(name, ids, digest, 4)]
      }),
    )
  }

  cluster(name: string): Cluster {
    const cluster = this.clusters.get(name)
    if (!cluster) throw new Error(`no cluster ${name} in this scenario`)
    return cluster
  }

  /** Puts a real decider into a cluster, as if its process started at the next cycle. */
  decider(self: string, more: Partial<PoolConfig> = {}): Decider {
    const decider = new Decider(this, this.cluster(self), poolOf(self, [...this.clusters.keys()], more))
    this.deciders.push(decider)
    return decider
  }

  get serverMs(): number {
    return WALL_ZERO_MS + SERVER_AHEAD_MS + this.nowMs
  }

  wish(control: Control): void {
    this.control = { kind: 'read', control }
  }

  /** A pin for `forSeconds` from now. */
  pin(to: string, { forSeconds = 7200, force = false } = {}): void {
    this.wish({ pin: { to, untilMs: this.serverMs + forSeconds * 1000, by: 'kim', why: 'test', force } })
  }

  pause(forSeconds = 7200): void {
    this.wish({ pause: { untilMs: this.serverMs + forSeconds * 1000, by: 'kim', why: 'test' } })
  }

  /** Moves the clock, lets scripted deciders speak and every real one do one cycle. */
  step(seconds = 10): void {
    this.nowMs += seconds * 1000
    for (const cluster of this.clusters.values()) {
      const scripted = !this.deciders.some(decider => decider.cluster === cluster)
      const due = this.nowMs - cluster.spokeMs >= timingOf('balanced').heartbeatMs
      if (!scripted || !cluster.speaks || !cluster.status || !due) continue
      cluster.says({})
      cluster.spokeMs = this.nowMs
    }
    for (const decider of this.deciders) if (decider.running) decider.cycle()
  }

  /** Cycles of 10 s. */
  run(seconds: number): void {
    for (let done = 0; done < seconds; done += 10) this.step(10)
  }

  /** Cycles of 10 s until `condition`; how many seconds that took. Undefined: not within `limit`. */
  secondsUntil(condition: () => boolean, limit = 3600): number | undefined {
    for (let seconds = 10; seconds <= limit; seconds += 10) {
      this.step(10)
      if (condition()) return seconds
    }
    return undefined
  }

  /** Names of the clusters with a tagged runner. */
  get holders(): string[] {
    return [...this.clusters.values()].filter(({ taggedIds }) => taggedIds.length > 0).map(({ name }) => name)
  }
}

/** One real decider: `decide` on what it sees, and a plain carrying out of what it plans. */
export class Decider {
  memory: Memory = NO_MEMORY
  running = true
  /** GitLab cannot be reached from here. */
  cutOff = false
  /** `ambiguous`: lands, but the answer is lost. */
  publishing: 'works' | 'fails' | 'ambiguous' = 'works'
  /** What a removal meets: `expires` is never sent, `lost` is sent and nobody knows whether it lands. */
  removing: 'works' | 'expires' | 'lost' = 'works'
  waking: 'works' | 'fails' = 'works'
  /** Added to the clocks that this process sees. */
  wallSkewMs = 0
  monotonicSkewMs = 0
  plans: { atMs: number; plan: Plan; seen: Observation }[] = []
  private outcomes: Outcomes = { wakes: {} }
  private lastPublishMonotonicMs: number | undefined
  private published = new Map<number, number>()

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
    this.published.clear()
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
        ...(ownSeqPublished === undefined ? {} : { ownSeqPublishedMonotonicMs: ownSeqPublished }),
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
    cluster.file = { kind: 'read', seq: cluster.seq + 1, status }
    if (this.publishing === 'ambiguous') return false
    this.lastPublishMonotonicMs = nowMs
    this.published.set(cluster.seq, nowMs)
    return true
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

/**
 * A long quiet service: `holder` is active and tagged, all others are standbys, and the decider under test has watched
 * for 20 minutes, so that everybody is proven and the minimum hold is over.
 */
export function quiet(self: string, holder: string, names: readonly string[] = ['a', 'b'], runnersPerCluster = 1) {
  const world = new World(names, runnersPerCluster)
  for (const cluster of world.clusters.values()) {
    cluster.says(cluster.name === holder ? { active: true, epoch: 3 } : { active: false, epoch: 2 })
  }
  world.cluster(holder).tag()
  const decider = world.decider(self)
  world.run(1200)
  decider.plans = []
  return { world, decider, own: decider.cluster, peer: world.cluster(names.find(name => name !== self) ?? self) }
}
