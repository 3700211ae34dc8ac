import { type Choice, type Situation, NOTHING, silentDecider, winnerOver } from './situation.ts'
import type { Step } from './model.ts'
import { type ClusterView, outranks } from './views.ts'

/** Section 3.3 of the protocol: this cluster's file says active. Yield to proof, else repair, else fence the dead. */
export function chooseActive(situation: Situation, { repairOnly } = { repairOnly: false }): Choice {
  const { views, status } = situation
  const { self } = views
  const winner = repairOnly ? undefined : winnerOver(situation)
  if (winner) {
    return {
      state: 'DEMOTING',
      explain: `Cluster ${winner.config.name} claims with a higher claim and is seen serving; the main tag leaves this cluster.`,
      step: {
        kind: 'demote',
        winner: winner.config.name,
        ours: self.claim ?? null,
        status: { ...status, active: false, reason: 'DEMOTING' },
        removeIds: self.runners.filter(runner => runner.tagged).map(runner => runner.id),
      },
    }
  }
  const rival = repairBlocker(situation)
  const addIds = rival ? [] : missingIds(situation)
  const fence = repairOnly ? [] : fences(situation)
  const step: Step = addIds.length > 0 || fence.length > 0 ? { kind: 'tend', addIds, fence } : NOTHING
  const silent = silentDecider(views)
  return {
    state: silent ? 'PEER_DECIDER_DOWN' : 'ACTIVE',
    explain: explainActive(situation, rival, addIds, silent),
    step,
  }
}

/** A peer because of which our missing tags are not put back: it may be the rightful holder. */
function repairBlocker({ views, memory, config }: Situation): ClusterView | undefined {
  return views.peers.find(peer => {
    if (!peer.claim || !outranks(peer.claim, views.self.claim) || peer.holds.length === 0) return false
    if (peer.silenceMs <= config.timing.deadAfterMs) return true
    return memory.returnedUntagged && !peer.dead
  })
}

function missingIds({ views, muted }: Situation): number[] {
  if (muted && views.all.some(view => view.holds.length > 0)) return []
  return views.self.runners.filter(runner => !runner.tagged).map(runner => runner.id)
}

/** Strips the main tag from the runners of clusters that are certainly dead, so that they return without it. */
function fences({ views, memory, seen, config, muted }: Situation) {
  const { timing } = config
  const file = seen.gitlab.readable ? seen.gitlab.files[config.self] : undefined
  const publishedMs = seen.outcomes.ownSeqPublishedMonotonicMs
  // The claim of an earlier read does not do: it is this read that proves nobody else speaks for this cluster.
  const claimRead = file?.kind === 'read' && file.status.active
  const claimSeen = claimRead && publishedMs !== undefined && seen.monotonicMs - publishedMs <= timing.deadAfterMs
  const serving = seen.own.known && seen.own.available >= 1 && views.self.holds.length >= 1
  // Those who fence at the same time might strip one another: of all who claim and are not dead only the highest may.
  const outranked = views.peers.some(({ config: { name }, dead }) => {
    const status = memory.peers[name]?.status
    return !dead && status?.active === true && outranks({ epoch: status.epoch, cluster: name }, views.self.claim)
  })
  if (muted || !claimSeen || !serving || outranked) return []
  return views.peers
    .filter(peer => peer.dead && peer.silenceMs > timing.deadAfterMs + 2 * timing.pollMs)
    .map(peer => ({
      cluster: peer.config.name,
      runnerIds: peer.runners.filter(runner => runner.tagged).map(runner => runner.id),
    }))
    .filter(fence => fence.runnerIds.length > 0)
}

function explainActive(
  { views }: Situation,
  rival: ClusterView | undefined,
  addIds: readonly number[],
  silent: string | undefined,
): string {
  const name = views.self.config.name
  if (rival)
    return `Cluster ${name} claims, but ${rival.config.name} has a higher claim and holds; waiting to see whether it lives.`
  if (silent) return `Cluster ${name} serves. ${silent}`
  return addIds.length > 0
    ? `Cluster ${name} serves; ${addIds.length} of its runners lack the main tag.`
    : `Cluster ${name} serves.`
}
