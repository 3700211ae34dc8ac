import type { Memory, Observation, Pin, PoolConfig, PoolStatus, State, Step } from './model.ts'
import { type ClusterView, type Views, evidenceFor, outranks } from './views.ts'

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
  /** GitLab's clock. */
  serverMs: number
  /** Nothing could be published for T_dead: tags may be added only if nobody holds, and nothing else be done. */
  muted: boolean
}

export const NOTHING: Step = { kind: 'none' }

/** The peer that proves that our own tag may go; undefined: nobody does. */
export function winnerOver(views: Views): ClusterView | undefined {
  return views.peers.find(peer => evidenceFor(peer, views.self.claim))
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

export function neededMargin(incumbent: ClusterView, config: PoolConfig): number {
  return Math.max(config.margin, Math.ceil(incumbent.score * config.marginRatio))
}

/** The pin that counts now, by GitLab's clock. */
export function validPin(memory: Memory, seen: Observation): Pin | undefined {
  const pin = memory.control?.pin
  return pin && seen.gitlab.readable && seen.gitlab.serverMs < pin.untilMs ? pin : undefined
}
