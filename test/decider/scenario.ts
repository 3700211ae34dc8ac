import type { Control, ControlReading, PoolConfig } from '../../decider/model.ts'
import { timingOf } from '../../decider/timing.ts'
import { Cluster, type RunnerTruth, WALL_ZERO_MS, poolOf } from './cluster-truth.ts'
import { Decider } from './real-decider.ts'

export { poolOf }

/** GitLab's clock is ahead of the deciders', so that nobody can mix the two up. */
const SERVER_AHEAD_MS = 7000

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
  // As far apart as cycles may be for most of it: nobody looks at them.
  world.step(10)
  for (let cycles = 0; cycles < 54; cycles++) world.step(20)
  world.run(110)
  decider.plans = []
  return { world, decider, own: decider.cluster, peer: world.cluster(names.find(name => name !== self) ?? self) }
}
