import type { Decision } from '../loop.ts'
import { ageMs } from '../memory.ts'
import type { Alert, PoolConfig, State } from '../model.ts'
import { viewClusters } from '../views.ts'
import type { DecisionRecords, DecisionReport } from './records.ts'

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
  /** What people wish for; null: nothing that counts now. */
  pause: { until: string; by: string; why: string } | null
  pin: PinReport | null
  alerts: readonly Alert[]
  decisions: DecisionReport[]
}

export interface PinReport {
  to: string
  until: string
  by: string
  why: string
  force: boolean
  /** Why nothing comes of it now; null: it is obeyed. */
  refused: string | null
}

/** What `/status` tells of one pool: the newest decision in full, and the last ones that changed or wrote something. */
export interface StatusBook {
  record(decision: Decision): void
  report(): PoolReport | undefined
}

export function createStatusBook(records: DecisionRecords): StatusBook {
  let latest: Decision | undefined
  let clusters: ClusterReport[] = []
  let wishes: Pick<PoolReport, 'pause' | 'pin'> = { pause: null, pin: null }

  return {
    record(decision) {
      records.record(decision)
      latest = decision
      if (!decision.seen.gitlab.readable) return
      clusters = reportClusters(decision, decision.config)
      wishes = reportWishes(decision, decision.seen.gitlab.serverMs)
    },
    report() {
      if (!latest) return undefined
      const { plan, seen, config } = latest
      return {
        pool: config.name,
        mainTag: config.mainTag,
        state: plan.state,
        explain: plan.explain,
        at: iso(latest.atMs),
        holders: clusters.filter(cluster => cluster.holding > 0).map(cluster => cluster.name),
        gitlabReadable: seen.gitlab.readable,
        clusters,
        ...wishes,
        alerts: plan.alerts,
        decisions: records.list(),
      }
    },
  }
}

function reportWishes({ plan }: Decision, serverMs: number): Pick<PoolReport, 'pause' | 'pin'> {
  const { pause, pin } = plan.next.control ?? {}
  const refusal = plan.alerts.find(alert => alert.kind === 'pin_refused')
  return {
    pause: pause && serverMs < pause.untilMs ? { until: iso(pause.untilMs), by: pause.by, why: pause.why } : null,
    pin:
      pin && serverMs < pin.untilMs
        ? {
            to: pin.to,
            until: iso(pin.untilMs),
            by: pin.by,
            why: pin.why,
            force: pin.force,
            refused: refusal?.why ?? null,
          }
        : null,
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
