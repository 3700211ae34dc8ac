import type { Decision } from '../loop.ts'
import { viewClusters } from '../views.ts'
import type { Role } from './desired.ts'

/** What a fleet needs of the decider's newest cycle that could read GitLab. */
export interface FleetSituation {
  role: Role
  /** This cluster's runners of the pool. */
  runnerIds: readonly number[]
  /** Managers that another cluster asked for, as it last published; null: none ever said. */
  inherited: number | null
  /** Pods that Kubernetes says are asked for; null: nobody knows. */
  wanted: number | null
}

/** Undefined when the cycle could not read GitLab: the last situation stays. */
export function situationOf({ seen, plan, config }: Decision): FleetSituation | undefined {
  if (!seen.gitlab.readable) return undefined
  const { self } = viewClusters(plan.next, seen, config)
  const serves = self.claim !== undefined || plan.step.kind === 'promote' || self.holds.length > 0
  const asked = Object.values(plan.next.peers).map(({ status }) => status.desired ?? status.lastKnown)
  return {
    role: serves ? 'active' : 'standby',
    runnerIds: self.runners.map(runner => runner.id),
    inherited: asked.length === 0 ? null : Math.max(...asked),
    wanted: seen.own.known ? seen.own.desired : null,
  }
}
