import { holdProbes, isUnknown, remember } from './memory.ts'
import { chooseActive } from './active.ts'
import type { Alert, Condition, Memory, Observation, Plan, PoolConfig, PoolStatus, RunnerView, State } from './model.ts'
import { pinRefusal } from './pin.ts'
import { type Choice, type Situation, NOTHING, preferenceObstacle, validPin } from './situation.ts'
import { chooseStandby } from './standby.ts'
import { type ClusterView, type Views, viewClusters } from './views.ts'
import { inKeeping, unreadWord } from './word.ts'

/**
 * The decision of one cycle: what is seen, folded into what is remembered, gives a plan. Pure and deterministic; the
 * same call with the same data gives the same plan, so every decision can be replayed. Rules: the protocol, section 3.
 */
export function decide(seen: Observation, previous: Memory, config: PoolConfig): Plan {
  const remembered = remember(previous, seen, config)
  if (!seen.gitlab.readable) {
    return {
      state: 'HOLD',
      explain: `GitLab cannot be read (${seen.gitlab.why}); nothing moves and nobody ages until it can.`,
      step: NOTHING,
      probes: [],
      alerts: [],
      next: remembered,
    }
  }
  const views = viewClusters(remembered, seen, config)
  const memory = { ...remembered, ...updateConditions(remembered, seen, views, config), scores: scoresOf(views) }
  const word = unreadWord(seen, config)
  const status = inKeeping(ownStatus(memory, seen, views.self, config), word)
  const situation: Situation = {
    seen,
    memory,
    config,
    views,
    status,
    word,
    serverMs: seen.gitlab.serverMs,
    muted: mutedForMs(memory, seen) > config.timing.deadAfterMs,
    doubtful: isDoubtful(memory, seen, config),
  }
  const choice = choose(situation)
  const carriesStatus = choice.step.kind === 'promote' || choice.step.kind === 'demote'
  const published = { ...status, reason: choice.state }
  const due = !carriesStatus && publishDue(published, seen, config)
  const asking = mayProbe(choice.state)
  return {
    ...choice,
    ...(due ? { publish: published } : {}),
    probes: asking ? probesDue(situation) : [],
    alerts: alertsOf(situation),
    next: asking ? memory : holdProbes(memory),
  }
}

function choose(situation: Situation): Choice {
  const { views, memory, serverMs } = situation
  const pause = memory.control?.pause
  const paused = pause !== undefined && serverMs < pause.untilMs
  const mismatched = mismatches(situation)
  if (mismatched.length > 0) {
    return {
      state: 'CONFIG_MISMATCH',
      explain: `Cluster ${mismatched.join(', ')} works with another pool configuration (main tag, clusters' names and tags, strength mode); nothing moves until they agree.`,
      step: views.self.claim && !paused ? chooseActive(situation, { repairOnly: true }).step : NOTHING,
    }
  }
  if (paused) {
    const until = new Date(pause.untilMs).toISOString()
    return { state: 'PAUSED', explain: `Paused by ${pause.by} until ${until}: ${pause.why}`, step: NOTHING }
  }
  return views.self.claim ? chooseActive(situation) : chooseStandby(situation)
}

/** Peers heard of lately whose configuration differs from ours. */
function mismatches({ views, config }: Situation): string[] {
  return views.peers
    .filter(peer => peer.presence === 'known' && peer.silenceMs <= config.timing.deadAfterMs)
    .filter(peer => peer.status?.digest !== config.digest)
    .map(peer => peer.config.name)
}

function ownStatus(memory: Memory, seen: Observation, self: ClusterView, config: PoolConfig): PoolStatus {
  const { own } = seen
  const updating = own.known ? own.updating : self.status?.updating
  return {
    digest: config.digest,
    epoch: self.status?.epoch ?? 0,
    active: self.status?.active ?? false,
    available: isUnknown(own) ? null : memory.lastKnown,
    total: own.known ? own.total : (self.status?.total ?? 0),
    desired: own.known ? own.desired : (self.status?.desired ?? null),
    ...(updating === undefined ? {} : { updating }),
    lastKnown: memory.lastKnown,
    unknownForSeconds: Math.floor(memory.unknownForMs / 1000),
    servingIds: memory.servingIds,
    reason: '',
  }
}

function publishDue(status: PoolStatus, seen: Observation, { timing, self }: PoolConfig): boolean {
  const file = seen.gitlab.readable ? seen.gitlab.files[self] : undefined
  if (file?.kind !== 'read' || !sameForPeers(file.status, status)) return true
  const lastMs = seen.outcomes.lastPublishMonotonicMs
  return lastMs === undefined || seen.monotonicMs - lastMs >= timing.heartbeatMs
}

/**
 * Equal in all that peers act on; growing seconds and words for people wait for the heartbeat. The claim is not compared:
 * only steps change it, and a heartbeat says again what a lost one said.
 */
function sameForPeers(a: PoolStatus, b: PoolStatus): boolean {
  return (
    a.digest === b.digest &&
    a.available === b.available &&
    a.total === b.total &&
    a.desired === b.desired &&
    a.updating === b.updating &&
    a.servingIds.length === b.servingIds.length &&
    a.servingIds.every((id, index) => id === b.servingIds[index])
  )
}

/** How long nothing could be published, by the local clock: a cut-off decider must not trust what it last said. */
function mutedForMs(memory: Memory, seen: Observation): number {
  const sinceMs = seen.outcomes.lastPublishMonotonicMs ?? memory.startedMonotonicMs ?? seen.monotonicMs
  return seen.monotonicMs - sinceMs
}

/**
 * A claim of ours that lands late could make the winner yield to us while our removal is on its way; a fencing that lands
 * late could take the tag from a cluster that came back and that we yielded to. Whoever starts cannot know what the
 * process before had under way.
 */
function isDoubtful(memory: Memory, seen: Observation, { timing }: PoolConfig): boolean {
  const fromMs = Math.max(memory.startedMonotonicMs ?? seen.monotonicMs, memory.doubtMonotonicMs ?? -Infinity)
  return seen.monotonicMs - fromMs < timing.quarantineMs
}

function updateConditions(memory: Memory, seen: Observation, views: Views, config: PoolConfig): Pick<Memory, 'since'> {
  const { peers, all } = views
  const pin = validPin(memory, seen)
  const target = pin && peers.find(peer => peer.config.name === pin.to)
  const holds: Record<Condition, boolean> = {
    nobodyEffective: !all.some(view => view.effective),
    nobodyScores: !peers.some(peer => peer.score >= 1),
    better: preferenceObstacle({ views, memory, seen, config }) === undefined,
    pinTargetWeak: target !== undefined && (target.dead || target.score < 1),
  }
  const since: Partial<Record<Condition, number>> = {}
  for (const condition of Object.keys(holds) as Condition[]) {
    if (holds[condition]) since[condition] = memory.since[condition] ?? memory.observedMs
  }
  return { since }
}

function scoresOf(views: Views): Record<string, number> {
  return Object.fromEntries(views.all.map(view => [view.config.name, view.score]))
}

/** A silent peer's runners are asked whatever else is going on, except where nothing may be touched. */
function mayProbe(state: State): boolean {
  return state !== 'PAUSED' && state !== 'CONFIG_MISMATCH'
}

function probesDue({ views, memory, config }: Situation): Plan['probes'] {
  const due: { cluster: string; runnerIds: number[] }[] = []
  for (const view of views.peers) {
    const probe = memory.peers[view.config.name]?.probe
    if (!probe || probe.phase === 'inconclusive' || view.presence !== 'known') continue
    const asked = Object.keys(probe.before).length > 0
    const renewal = memory.observedMs - (probe.wokenMs ?? 0) >= config.timing.probeRenewMs
    if (probe.phase === 'pending' ? asked : !renewal) continue
    const runnerIds = likeliestToAnswer(view).slice(0, 3)
    if (runnerIds.length > 0) due.push({ cluster: view.config.name, runnerIds })
  }
  return due
}

/** Stale runner entities never answer: those come first behind which pods were said to serve, then those online. */
function likeliestToAnswer({ holds, status }: ClusterView): number[] {
  const standing = ({ id, online }: RunnerView) => (status?.servingIds.includes(id) ? 0 : online === true ? 1 : 2)
  return [...holds].sort((a, b) => standing(a) - standing(b) || a.id - b.id).map(runner => runner.id)
}

function alertsOf(situation: Situation): Alert[] {
  const { seen, views, config } = situation
  const alerts: Alert[] = []
  if (!seen.gitlab.readable) return alerts
  const mismatched = mismatches(situation)
  if (mismatched.length > 0) alerts.push({ kind: 'config_mismatch', clusters: mismatched })
  const foreign = seen.gitlab.runners.filter(runner => runner.cluster === null && runner.tagged)
  if (foreign.length > 0) alerts.push({ kind: 'foreign_main_tag', runnerIds: foreign.map(runner => runner.id) })
  for (const cluster of config.clusters) {
    const file = seen.gitlab.files[cluster.name]
    if (file?.kind === 'unreadable') alerts.push({ kind: 'unreadable_file', cluster: cluster.name, why: file.why })
  }
  if (seen.gitlab.control.kind === 'unreadable') {
    alerts.push({ kind: 'unreadable_control', why: seen.gitlab.control.why })
  }
  const refusal = pinRefusal(situation)
  if (refusal) alerts.push({ kind: 'pin_refused', ...refusal })
  for (const view of views.peers) {
    if (view.probedAlive) alerts.push({ kind: 'peer_decider_down', cluster: view.config.name })
  }
  if (situation.muted) alerts.push({ kind: 'cannot_publish', forMs: mutedForMs(situation.memory, seen) })
  return alerts
}
