import { ageMs, proofMaxAgeMs, silenceMs } from './memory.ts'
import type { Claim, ClusterConfig, Memory, Observation, PoolConfig, PoolStatus, RunnerView } from './model.ts'
import { groupByCluster } from './pool.ts'

/** Whether `a` outranks `b`; no claim at all is outranked by every claim. */
export function outranks(a: Claim, b: Claim | null | undefined): boolean {
  if (!b) return true
  return a.epoch === b.epoch ? a.cluster > b.cluster : a.epoch > b.epoch
}

/** One cluster as this decider knows it now: file, tags, silence and proof of life in one place. */
export interface ClusterView {
  config: ClusterConfig
  self: boolean
  /** `absent`: no file was ever read. `unknown`: the file cannot be understood. */
  presence: 'absent' | 'unknown' | 'known'
  status?: PoolStatus
  claim?: Claim
  silenceMs: number
  /** Its status file changed lately while this process watched: it lives now. */
  proven: boolean
  live: boolean
  /** Has a file and does not live. The only ground for fencing. */
  dead: boolean
  probing: boolean
  probedAlive: boolean
  runners: readonly RunnerView[]
  /** Carry the main tag and are not paused. */
  holds: readonly RunnerView[]
  score: number
  /** Serves the main tag as far as anybody knows. */
  effective: boolean
}

export interface Views {
  self: ClusterView
  peers: readonly ClusterView[]
  all: readonly ClusterView[]
}

/** Builds every cluster's view. Pure; `memory` has the observation folded in already and GitLab was readable. */
export function viewClusters(memory: Memory, seen: Observation, config: PoolConfig): Views {
  const runners = seen.gitlab.readable ? groupByCluster(seen.gitlab.runners) : new Map<string, RunnerView[]>()
  const all = config.clusters.map(cluster => {
    const own = runners.get(cluster.name) ?? []
    return cluster.name === config.self
      ? viewSelf(cluster, own, memory, seen, config)
      : viewPeer(cluster, own, memory, seen, config)
  })
  const self = all.find(view => view.self)
  if (!self) throw new Error(`cluster ${config.self} is not one of the pool's clusters`)
  return { self, peers: all.filter(view => !view.self), all }
}

/** Weight × pods (`count`), or weight × percent of the desired pods (`health`, for autoscaled fleets). */
export function strength(cluster: ClusterConfig, pods: number, wanted: number | null, config: PoolConfig): number {
  if (config.strength === 'count') return cluster.weight * pods
  if (wanted === null || wanted === 0) return pods > 0 ? cluster.weight * 100 : 0
  return cluster.weight * Math.floor(100 * Math.min(1, pods / wanted))
}

/** Position in the order of promotion, 0 first: score, then priority, then name, over live clusters. */
export function rankOf(self: ClusterView, views: Views): number {
  const before = views.peers.filter(peer => {
    if (!peer.live || peer.presence !== 'known') return false
    if (peer.score !== self.score) return peer.score > self.score
    if (peer.config.priority !== self.config.priority) return peer.config.priority > self.config.priority
    return peer.config.name < self.config.name
  })
  return before.length
}

/**
 * The only ground for removing our own tag: a peer that is alive, claims with a higher claim, and already serves with
 * at least half of what it says it has. Stale runner entities prove nothing, so only serving ones count.
 */
export function evidenceFor(view: ClusterView, ours: Claim | null | undefined): boolean {
  const { status, claim } = view
  if (view.self || !view.proven || !status || !claim || !outranks(claim, ours)) return false
  if (status.available === null || status.available < 1) return false
  const servingIds = new Set(status.servingIds)
  const serving = view.holds.filter(runner => servingIds.has(runner.id))
  return serving.length >= Math.max(1, Math.ceil(Math.min(status.available, status.servingIds.length) / 2))
}

function viewSelf(
  cluster: ClusterConfig,
  runners: readonly RunnerView[],
  memory: Memory,
  seen: Observation,
  config: PoolConfig,
): ClusterView {
  const status = memory.ownStatus
  const unknownTooLong = memory.unknownForMs >= config.timing.unknownForMs
  const pods = unknownTooLong ? 0 : memory.lastKnown
  const wanted = seen.own.known ? (seen.own.desired ?? seen.own.total) : (status?.desired ?? null)
  const holds = runners.filter(isHolder)
  const score = settled(strength(cluster, pods, wanted, config), cluster.name, memory, seen)
  const active = status?.active === true
  return {
    config: cluster,
    self: true,
    presence: status ? 'known' : 'absent',
    ...(status ? { status } : {}),
    ...(active ? { claim: { epoch: status.epoch, cluster: cluster.name } } : {}),
    silenceMs: 0,
    proven: true,
    live: true,
    dead: false,
    probing: false,
    probedAlive: false,
    runners,
    holds,
    score,
    effective: active && score >= 1 && holds.length >= 1,
  }
}

function viewPeer(
  cluster: ClusterConfig,
  runners: readonly RunnerView[],
  memory: Memory,
  seen: Observation,
  config: PoolConfig,
): ClusterView {
  const { timing } = config
  const holds = runners.filter(isHolder)
  const peer = memory.peers[cluster.name]
  const file = seen.gitlab.readable ? seen.gitlab.files[cluster.name] : undefined
  const unreadable = peer ? peer.unreadable : file?.kind === 'unreadable'
  const base = { config: cluster, self: false, runners, holds }
  const unproven = { silenceMs: 0, proven: false, dead: false, probing: false, probedAlive: false, score: 0 }

  if (!peer || unreadable) {
    // Nobody can say what such a cluster does; GitLab's word on its runners is all there is, and it is never fenced.
    const effective = holds.some(runner => runner.online === true)
    return { ...base, ...unproven, presence: unreadable ? 'unknown' : 'absent', live: false, effective }
  }

  const { status } = peer
  const silence = silenceMs(memory, peer)
  const probing = peer.probe?.phase === 'pending'
  const probedAlive = peer.probe?.phase === 'alive'
  const live = silence <= timing.deadAfterMs || probing || probedAlive
  // Proof is what this very read shows; a file that is gone from it proves nothing, however young the last one was.
  const proven =
    file?.kind === 'read' &&
    peer.confirmed &&
    status.digest === config.digest &&
    ageMs(seen, peer) <= proofMaxAgeMs(timing)
  const score = live ? settled(peerScore(cluster, status, probedAlive, config), cluster.name, memory, seen) : 0
  return {
    ...base,
    presence: 'known',
    status,
    ...(status.active ? { claim: { epoch: status.epoch, cluster: cluster.name } } : {}),
    silenceMs: silence,
    proven,
    live,
    dead: !live,
    probing,
    probedAlive,
    score,
    effective: live && status.active && score >= 1 && holds.length >= 1,
  }
}

function peerScore(cluster: ClusterConfig, status: PoolStatus, probedAlive: boolean, config: PoolConfig): number {
  const wanted = status.desired ?? status.total
  if (probedAlive) return Math.max(1, strength(cluster, status.lastKnown, wanted, config))
  if (status.available !== null) return strength(cluster, status.available, wanted, config)
  const unknownTooLong = status.unknownForSeconds * 1000 >= config.timing.unknownForMs
  return unknownTooLong ? 0 : strength(cluster, status.lastKnown, wanted, config)
}

/** While GitLab's answers settle after an outage, runners come back at different moments: scores rise, never fall. */
function settled(score: number, cluster: string, memory: Memory, seen: Observation): number {
  const { settleUntilMonotonicMs } = memory
  const settling = settleUntilMonotonicMs !== undefined && seen.monotonicMs < settleUntilMonotonicMs
  return settling ? Math.max(score, memory.scores[cluster] ?? 0) : score
}

function isHolder(runner: RunnerView): boolean {
  return runner.tagged && !runner.paused
}
