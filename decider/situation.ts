import { isUnknown } from './memory.ts'
import type { Memory, Observation, Pin, PoolConfig, PoolStatus, State, Step, Word } from './model.ts'
import { type ClusterView, type Views, evidenceFor, outranks, rankOf } from './views.ts'

/** What a rule wants; `decide` adds everything that is the same for all rules. */
export interface Choice {
  state: State
  explain: string
  step: Step
}

/** Everything a rule may look at. */
export interface Situation {
  seen: Observation
  memory: Memory
  config: PoolConfig
  views: Views
  /** The own part as it would be published unchanged. */
  status: PoolStatus
  /** The own claim that was sent last, as long as GitLab does not show it. */
  word: Word | undefined
  /** GitLab's clock. */
  serverMs: number
  /** Nothing could be published for T_dead: tags may be added only if nobody holds, and nothing else be done. */
  muted: boolean
  /** A publish or a fencing of ours, or of the process before, may still be under way: nothing of ours may be removed. */
  doubtful: boolean
}

export const NOTHING: Step = { kind: 'none' }

/** The peer that proves that our own tag may go now; undefined: nobody does, or a late write of ours could undo it. */
export function winnerOver({ views, muted, doubtful }: Situation): ClusterView | undefined {
  if (muted || doubtful) return undefined
  return views.peers.find(peer => evidenceFor(peer, views.self.claim))
}

/** What people must know of a peer whose decider is silent, and that it is one; undefined: all are heard of. */
export function silentDecider({ peers }: Views): string | undefined {
  const peer = peers.find(({ probing, probedAlive }) => probing || probedAlive)
  if (!peer) return undefined
  const answer = peer.probing ? 'its runners are being asked whether they live' : 'its runners live, so nothing moves'
  return `The decider of cluster ${peer.config.name} is silent; ${answer}.`
}

/** The effective cluster with the highest claim; one without a file (hand-tagged) when there is no claim. */
export function incumbentOf(views: Views): ClusterView | undefined {
  return views.all
    .filter(view => view.effective)
    .reduce<ClusterView | undefined>((best, view) => {
      if (!best) return view
      return view.claim && outranks(view.claim, best.claim) ? view : best
    }, undefined)
}

/**
 * Why this cluster may not take the main tag by preference now; undefined: it is clearly stronger and nothing speaks
 * against it. Only time without an obstacle counts for `preferFor`. A cluster without a file that can be understood may
 * be as strong as it likes: nobody knows.
 */
export function preferenceObstacle({
  views,
  memory,
  seen,
  config,
}: Pick<Situation, 'views' | 'memory' | 'seen' | 'config'>): string | undefined {
  const { self } = views
  const incumbent = incumbentOf(views)
  if (!incumbent || incumbent.self || self.score < incumbent.score + neededMargin(incumbent, config)) {
    return 'this cluster is not clearly stronger.'
  }
  if (incumbent.presence !== 'known') return 'nobody knows how strong it is.'
  if (memory.control === undefined) return 'people’s wishes cannot be read, so nothing moves by preference.'
  const pin = validPin(memory, seen)
  if (pin && pin.to !== config.self) return `a pin keeps the main tag at ${pin.to}.`
  if (isUnknown(seen.own)) return 'this cluster cannot prove now that it is stronger.'
  if (rankOf(self, views) > 0) return 'another cluster is first in line.'
  if (midRollout(incumbent)) return 'it is in the middle of a rollout.'
  return undefined
}

function midRollout({ status }: ClusterView): boolean {
  if (!status) return false
  return status.updating ?? (status.desired !== null && status.desired !== status.total)
}

function neededMargin(incumbent: ClusterView, config: PoolConfig): number {
  return Math.max(config.margin, Math.ceil(incumbent.score * config.marginRatio))
}

/** The pin that counts now, by GitLab's clock. */
export function validPin(memory: Memory, seen: Observation): Pin | undefined {
  const pin = memory.control?.pin
  return pin && seen.gitlab.readable && seen.gitlab.serverMs < pin.untilMs ? pin : undefined
}
