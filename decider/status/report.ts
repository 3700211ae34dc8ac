import type { FleetReport } from '../fleet/report.ts'
import type { Decision } from '../loop.ts'
import { ageMs } from '../memory.ts'
import type { Alert, PoolConfig, State } from '../model.ts'
import { viewClusters } from '../views.ts'
import type { DecisionRecords, DecisionReport } from './records.ts'
import { type Problem, type Verdict, problemsOf, verdictOf } from './problems.ts'
import { type HoldersSince, createTimeline } from './timeline.ts'

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
  /** Pods, and pods that its workloads ask for. */
  total: number | null
  desired: number | null
  /** The state that its decider published. */
  reason: string | null
  runners: number
  /** Unpaused runners that carry the main tag. */
  holding: number
  presence: 'absent' | 'unknown' | 'known'
  live: boolean
  proven: boolean
  heartbeatAgeSeconds: number | null
  effective: boolean
}

/** A wish of people that counts at `at`, by GitLab's clock. */
export interface WishReport {
  until: string
  by: string
  why: string
}

export interface PinReport extends WishReport {
  to: string
  force: boolean
  /** Why nothing comes of it now; null: it is obeyed. */
  refused: string | null
}

export interface PoolReport {
  pool: string
  mainTag: string
  /** `nobody`: no cluster holds the main tag; `degraded`: one does, but there are problems. */
  verdict: Verdict
  problems: Problem[]
  state: State
  explain: string
  at: string
  /** Clusters that hold the main tag. */
  holders: string[]
  /** Who held it when, as this process saw it; oldest first. */
  timeline: HoldersSince[]
  /** What people wish for; null: nothing that counts now. */
  pause: WishReport | null
  pin: PinReport | null
  gitlabReadable: boolean
  clusters: ClusterReport[]
  alerts: readonly Alert[]
  decisions: DecisionReport[]
  /** Only of a pool with a fleet. */
  fleet?: FleetReport
}

/** What `/status` tells of one pool: the newest decision in full, and the last ones that changed or wrote something. */
export interface StatusBook {
  record(decision: Decision): void
  report(nowMs: number): PoolReport | undefined
}

export function createStatusBook(records: DecisionRecords): StatusBook {
  let latest: Decision | undefined
  let clusters: ClusterReport[] = []
  let wishes: Pick<PoolReport, 'pause' | 'pin'> = { pause: null, pin: null }
  const timeline = createTimeline()
  const holders = () => clusters.filter(cluster => cluster.holding > 0).map(cluster => cluster.name)

  return {
    record(decision) {
      records.record(decision)
      latest = decision
      const { gitlab } = decision.seen
      if (gitlab.readable) {
        clusters = reportClusters(decision, decision.config)
        wishes = reportWishes(decision, gitlab.serverMs)
      }
      timeline.saw(decision.atMs, gitlab.readable ? holders() : null)
    },
    report(nowMs) {
      if (!latest) return undefined
      const { plan, seen, config } = latest
      const { gitlab, own } = seen
      const problems = problemsOf({
        mainTag: config.mainTag,
        clusters,
        holders: holders(),
        alerts: plan.alerts,
        atMs: latest.atMs,
        nowMs,
        gitlabWhy: gitlab.readable ? undefined : gitlab.why,
        ownWhy: gitlab.readable && !own.known ? own.why : undefined,
      })
      return {
        pool: config.name,
        mainTag: config.mainTag,
        verdict: verdictOf({ clusters, holders: holders() }, problems.length),
        problems,
        state: plan.state,
        explain: plan.explain,
        at: iso(latest.atMs),
        holders: holders(),
        timeline: timeline.entries(),
        ...wishes,
        gitlabReadable: gitlab.readable,
        clusters,
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
      total: (view.self && seen.own.known ? seen.own : view.status)?.total ?? null,
      desired: (view.self && seen.own.known ? seen.own : view.status)?.desired ?? null,
      reason: view.self ? plan.state : (view.status?.reason ?? null),
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
