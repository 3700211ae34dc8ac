import type { FileReading, OwnCapacity, PoolConfig, PoolStatus, RunnerView } from '../../decider/model.ts'
import { digestOf } from '../../decider/pool.ts'
import { timingOf } from '../../decider/timing.ts'

/** The deciders' wall clock when a scenario starts. */
export const WALL_ZERO_MS = Date.UTC(2026, 0, 1)

export type RunnerTruth = { -readonly [Key in keyof RunnerView]: RunnerView[Key] }

/** A pool as `self` is configured to see it: count mode, balanced profile, a before b before c. */
export function poolOf(
  self: string,
  names: readonly string[] = ['a', 'b'],
  more: Partial<PoolConfig> = {},
): PoolConfig {
  const clusters = names.map((name, index) => ({ name, tag: `runner-${name}`, priority: -index, weight: 1 }))
  const pool = { mainTag: 'rnd-runner', strength: 'count' as const, clusters, ...more }
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
