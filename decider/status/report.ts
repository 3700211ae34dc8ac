import type { Decision } from '../loop.ts'
import { ageMs } from '../memory.ts'
import type { Alert, PoolConfig, State } from '../model.ts'
import { viewClusters } from '../views.ts'

/** How many decisions that changed or wrote something are kept. */
const KEPT_DECISIONS = 50

/** One cluster as the decider reckons with it; what is unknown is null. */
export interface ClusterReport {
  name: string
  tag: string
  self: boolean
  /** Its file says active. */
  active: boolean
  epoch: number | null
  score: number
  available: number | null
  runners: number
  /** Unpaused runners that carry the main tag. */
  holding: number
  presence: 'absent' | 'unknown' | 'known'
  live: boolean
  proven: boolean
  heartbeatAgeSeconds: number | null
  effective: boolean
}

export interface PoolReport {
  pool: string
  mainTag: string
  state: State
  explain: string
  at: string
  /** Clusters that hold the main tag. */
  holders: string[]
  gitlabReadable: boolean
  clusters: ClusterReport[]
  alerts: readonly Alert[]
  decisions: DecisionReport[]
}

export interface DecisionReport {
  at: string
  state: State
  step: string
  explain: string
  deeds: Decision['deeds']
}

/** What `/status` tells of one pool: the newest decision in full, and the last ones that changed or wrote something. */
export interface StatusBook {
  record(decision: Decision): void
  report(): PoolReport | undefined
}

export function createStatusBook(config: PoolConfig): StatusBook {
  let latest: Decision | undefined
  let clusters: ClusterReport[] = []
  const kept: DecisionReport[] = []

  return {
    record(decision) {
      const { plan, deeds } = decision
      const wrote = deeds.some(deed => deed.operation !== 'publish')
      if (wrote || latest?.plan.state !== plan.state) {
        kept.push({ at: iso(decision.atMs), state: plan.state, step: plan.step.kind, explain: plan.explain, deeds })
        if (kept.length > KEPT_DECISIONS) kept.shift()
      }
      latest = decision
      if (decision.seen.gitlab.readable) clusters = reportClusters(decision, config)
    },
    report() {
      if (!latest) return undefined
      const { plan, seen } = latest
      return {
        pool: config.name,
        mainTag: config.mainTag,
        state: plan.state,
        explain: plan.explain,
        at: iso(latest.atMs),
        holders: clusters.filter(cluster => cluster.holding > 0).map(cluster => cluster.name),
        gitlabReadable: seen.gitlab.readable,
        clusters,
        alerts: plan.alerts,
        decisions: [...kept],
      }
    },
  }
}

function reportClusters({ seen, plan }: Decision, config: PoolConfig): ClusterReport[] {
  return viewClusters(plan.next, seen, config).all.map(view => {
    const peer = plan.next.peers[view.config.name]
    const ownAvailable = plan.next.unknownForMs > 0 ? null : plan.next.lastKnown
    return {
      name: view.config.name,
      tag: view.config.tag,
      self: view.self,
      active: view.claim !== undefined,
      epoch: view.status?.epoch ?? null,
      score: view.score,
      available: view.self ? ownAvailable : (view.status?.available ?? null),
      runners: view.runners.length,
      holding: view.holds.length,
      presence: view.presence,
      live: view.live,
      proven: view.proven,
      heartbeatAgeSeconds: peer ? Math.round(ageMs(seen, peer) / 100) / 10 : null,
      effective: view.effective,
    }
  })
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
