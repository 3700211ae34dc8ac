import type {
  FileReading,
  Memory,
  Observation,
  OwnCapacity,
  PeerMemory,
  PoolConfig,
  PoolStatus,
  Probe,
  RunnerView,
  Timing,
} from './model.ts'
import { groupByCluster } from './pool.ts'

/** What a decider knows before its first cycle. */
export const NO_MEMORY: Memory = {
  observedMs: 0,
  peers: {},
  returnedUntagged: false,
  lastKnown: 0,
  unknownForMs: 0,
  partialForMs: 0,
  servingIds: [],
  scores: {},
  epochSeen: 0,
  epochChangedMs: 0,
  since: {},
}

/**
 * Folds one observation into what is remembered: clocks, peers' silence and proof of life, probes, the own number.
 * Pure. An unreadable GitLab ages nothing and starts the settling time.
 */
export function remember(memory: Memory, seen: Observation, config: PoolConfig): Memory {
  const { timing } = config
  const cycle = { monotonicMs: seen.monotonicMs, wallMs: seen.wallMs }
  const { removalSentServerMs: removalMs, doubtMonotonicMs: doubtMs } = seen.outcomes
  const started = {
    startedMonotonicMs: memory.startedMonotonicMs ?? seen.monotonicMs,
    lastCycle: cycle,
    ...(removalMs === undefined ? {} : { quarantineFromServerMs: laterOf(removalMs, memory.quarantineFromServerMs) }),
    ...(doubtMs === undefined ? {} : { doubtMonotonicMs: laterOf(doubtMs, memory.doubtMonotonicMs) }),
  }
  // A suspended machine stops the monotonic clock, so the wall clock has a say too.
  const gapMs = memory.lastCycle
    ? Math.max(cycle.monotonicMs - memory.lastCycle.monotonicMs, cycle.wallMs - memory.lastCycle.wallMs)
    : 0
  const unconfirm = gapMs > 2 * timing.pollMs

  if (!seen.gitlab.readable) {
    const peers = unconfirm ? mapPeers(memory.peers, peer => ({ ...peer, confirmed: false })) : memory.peers
    return { ...memory, ...started, peers, settleUntilMonotonicMs: seen.monotonicMs + timing.settleMs }
  }
  const view = seen.gitlab
  const sinceReadMs = memory.lastReadMonotonicMs === undefined ? 0 : seen.monotonicMs - memory.lastReadMonotonicMs
  const stepMs = Math.min(Math.max(0, sinceReadMs), 2 * timing.pollMs)
  const observedMs = memory.observedMs + stepMs

  // A change that may have happened long before this read proves nothing about now.
  const proves = !unconfirm && sinceReadMs <= proofMaxAgeMs(timing)
  const groups = groupByCluster(view.runners)
  const peers: Record<string, PeerMemory> = {}
  for (const cluster of config.clusters) {
    if (cluster.name === config.self) continue
    const before = memory.peers[cluster.name]
    const kept = before && unconfirm ? { ...before, confirmed: false } : before
    const peer = rememberPeer(kept, view.files[cluster.name], observedMs, seen, proves)
    if (!peer) continue
    const runners = groups.get(cluster.name) ?? []
    const probe = advanceProbe(peer, runners, seen.outcomes.wakes[cluster.name], observedMs, config)
    peers[cluster.name] = withProbe(peer, probe)
  }

  const ownFile = view.files[config.self]
  const firstRead = memory.lastReadMonotonicMs === undefined
  // A deleted file is published again as it was: nothing happened to the tags, so nothing may happen to the claim.
  const ownStatus = ownFile?.kind === 'read' ? ownFile.status : memory.ownStatus
  const epochSeen = Math.max(
    memory.epochSeen,
    ownStatus?.epoch ?? 0,
    ...Object.values(peers).map(peer => peer.status.epoch),
  )
  const restored =
    firstRead && ownStatus
      ? {
          lastKnown: ownStatus.lastKnown,
          unknownForMs: ownStatus.unknownForSeconds * 1000,
          servingIds: ownStatus.servingIds,
        }
      : {}
  const quarantine = turnedInactive(memory, ownFile, ownStatus, firstRead)
    ? { quarantineFromServerMs: laterOf(view.serverMs, started.quarantineFromServerMs) }
    : {}
  const control = view.control.kind === 'read' ? view.control.control : memory.control
  const ownTagged = view.runners.some(runner => runner.cluster === config.self && runner.tagged)

  return rememberOwn(
    {
      ...memory,
      ...started,
      ...restored,
      observedMs,
      lastReadMonotonicMs: seen.monotonicMs,
      peers,
      ...(ownStatus ? { ownStatus } : {}),
      returnedUntagged: !ownTagged && (firstRead ? ownStatus?.active === true : memory.returnedUntagged),
      epochSeen,
      epochChangedMs: epochSeen === memory.epochSeen ? memory.epochChangedMs : observedMs,
      ...quarantine,
      ...(control ? { control } : {}),
    },
    seen,
    stepMs,
    config,
  )
}

/**
 * While nobody may be asked no probe comes to an end: each is put afresh when that is over, since a cluster that was not
 * asked did not fail to answer. What was left of the hour that answering runners give it goes on running.
 */
export function holdProbes(memory: Memory): Memory {
  const peers = mapPeers(memory.peers, peer => {
    if (!peer.probe || peer.probe.phase === 'inconclusive') return peer
    const { firstAliveMs } = peer.probe
    const held: Probe = { phase: 'pending', startedMs: memory.observedMs, before: {} }
    return { ...peer, probe: firstAliveMs === undefined ? held : { ...held, firstAliveMs } }
  })
  return { ...memory, peers }
}

/** Silence of a peer on the observed clock. */
export function silenceMs(memory: Memory, peer: PeerMemory): number {
  return memory.observedMs - peer.changedObservedMs
}

/** Age of a peer's proof of life: uncapped, the larger of both clocks, since a suspended process must notice. */
export function ageMs(seen: Pick<Observation, 'monotonicMs' | 'wallMs'>, peer: PeerMemory): number {
  return Math.max(seen.monotonicMs - peer.changedMonotonicMs, seen.wallMs - peer.changedWallMs)
}

/** Whether the own number is unknown now: Prometheus says nothing, or nothing but that some pods are unknown. */
export function isUnknown(own: OwnCapacity): boolean {
  return !own.known || provesNothing(own)
}

/** How old a proof of life may be. */
export function proofMaxAgeMs(timing: Timing): number {
  return 1.1 * timing.heartbeatMs + 3 * timing.pollMs
}

function rememberPeer(
  before: PeerMemory | undefined,
  file: FileReading | undefined,
  observedMs: number,
  seen: Observation,
  proves: boolean,
): PeerMemory | undefined {
  if (file === undefined || file.kind === 'absent') return before && { ...before, unreadable: false }
  if (file.kind === 'unreadable') return before && { ...before, unreadable: true }
  if (before?.seq === file.seq) return { ...before, unreadable: false, status: file.status }
  return {
    seq: file.seq,
    status: file.status,
    unreadable: false,
    changedObservedMs: observedMs,
    changedMonotonicMs: seen.monotonicMs,
    changedWallMs: seen.wallMs,
    // First sight is no proof: the file may be older than this process.
    confirmed: before !== undefined && proves,
  }
}

/** The next phase of a probe; undefined: none runs nor is needed. */
function advanceProbe(
  peer: PeerMemory,
  runners: readonly RunnerView[],
  wakes: Readonly<Record<number, number | null>> | undefined,
  observedMs: number,
  { timing }: PoolConfig,
): Probe | undefined {
  const silent = observedMs - peer.changedObservedMs > timing.deadAfterMs
  const holds = runners.some(runner => runner.tagged && !runner.paused)
  if (!silent || (!peer.probe && !holds)) return undefined
  const probe: Probe = peer.probe ?? { phase: 'pending', startedMs: observedMs, before: {} }
  if (probe.phase === 'inconclusive') return probe

  // Who is asked again before an answer was seen may have answered in between: the older contact time counts.
  const woken: Probe =
    wakes && Object.keys(wakes).length > 0
      ? { ...probe, before: { ...wakes, ...probe.before }, wokenMs: observedMs }
      : probe
  const answered = runners.some(runner => {
    const before = woken.before[runner.id]
    return before !== undefined && typeof runner.contactedAtMs === 'number' && runner.contactedAtMs > (before ?? 0)
  })
  if (answered) {
    const firstAliveMs = woken.firstAliveMs ?? observedMs
    if (observedMs - firstAliveMs > timing.orphanMs) return { ...woken, phase: 'inconclusive' }
    return { ...woken, phase: 'alive', firstAliveMs, aliveMs: observedMs, before: {} }
  }
  const waitedMs = observedMs - woken.startedMs
  const expired =
    woken.phase === 'pending'
      ? waitedMs > Math.min(Math.max(2 * timing.pollMs, timing.probeAnswerMs), timing.probePendingMs)
      : observedMs - (woken.aliveMs ?? 0) > timing.probeAliveMs ||
        observedMs - (woken.firstAliveMs ?? 0) > timing.orphanMs
  return expired ? { ...woken, phase: 'inconclusive' } : woken
}

/** Whether a removal that an earlier state of our file allowed may still be under way. */
function turnedInactive(
  memory: Memory,
  ownFile: FileReading | undefined,
  ownStatus: PoolStatus | undefined,
  firstRead: boolean,
): boolean {
  // A file that is new and inactive may be another process's of this cluster, which had begun to yield.
  if (!firstRead) return memory.ownStatus?.active !== false && ownStatus?.active === false
  return ownFile?.kind === 'unreadable' || (ownFile?.kind === 'read' && ownStatus?.active === false)
}

function laterOf(a: number, b: number | undefined): number {
  return b === undefined ? a : Math.max(a, b)
}

/**
 * The own number. Unknown pods keep what they last contributed: the number stays between what is proven and what is
 * possible, as near to the last known one as that allows.
 */
function rememberOwn(memory: Memory, { own }: Observation, stepMs: number, { timing }: PoolConfig): Memory {
  if (!own.known || provesNothing(own)) {
    return { ...memory, unknownForMs: memory.unknownForMs + stepMs, partialForMs: 0 }
  }
  const partialForMs = own.unknownPods > 0 ? memory.partialForMs + stepMs : 0
  const held = Math.min(Math.max(memory.lastKnown, own.available), own.available + own.unknownPods)
  return {
    ...memory,
    lastKnown: partialForMs > timing.unknownForMs ? own.available : held,
    unknownForMs: 0,
    partialForMs,
    servingIds: own.servingIds,
  }
}

function provesNothing(own: Extract<OwnCapacity, { known: true }>): boolean {
  return own.available === 0 && own.unknownPods > 0
}

function mapPeers(peers: Memory['peers'], change: (peer: PeerMemory) => PeerMemory): Memory['peers'] {
  return Object.fromEntries(Object.entries(peers).map(([name, peer]) => [name, change(peer)]))
}

function withProbe(peer: PeerMemory, probe: Probe | undefined): PeerMemory {
  const { probe: before, ...rest } = peer
  return probe === before ? peer : probe ? { ...rest, probe } : rest
}
