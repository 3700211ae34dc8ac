import { decide } from '../../decider/decide.ts'
import { NO_MEMORY, remember } from '../../decider/memory.ts'
import type { FileReading, Memory, Observation, PeerMemory, PoolConfig, PoolStatus } from '../../decider/model.ts'
import { evidenceFor, viewClusters } from '../../decider/views.ts'
import { poolOf } from '../decider/cluster-truth.ts'

export const NAMES = ['a', 'b', 'c'] as const

/** What a status file says, as far as the protocol's safety depends on it; null: there is no file. */
export type File = { epoch: number; active: boolean } | null

/**
 * What a decider knows of a peer's life, in place of clocks: its file changed just now; it was silent for less than
 * T_dead; it was silent for longer than T_dead + 2 P and its runners did not answer. `proven` asserts something of the world, so the
 * model grants it only where it may be true; the other two assert nothing.
 */
export type Knowledge = 'proven' | 'live' | 'dead'

export type LastOwn = 'none' | 'inactive' | 'active'

/** All that one decision depends on. */
export interface LocalView {
  clusters: number
  self: number
  files: readonly File[]
  tags: readonly boolean[]
  knowledge: readonly Knowledge[]
  /** The first cycle of a process. */
  fresh: boolean
  /** What the own file said in the cycle before. */
  lastOwn: LastOwn
  quarantined: boolean
  /** A publish or a fencing of ours may still land. */
  doubtful: boolean
  /** The own claim that was sent last and does not show in `files`; null: what was read is what was said. */
  word: File
  /** People want the main tag here, by force: stands for every promotion over one who serves. */
  pinned: boolean
}

export type Intent =
  | { kind: 'none' }
  | { kind: 'publish'; file: NonNullable<File> }
  | { kind: 'add' }
  | { kind: 'fence'; cluster: number }
  | { kind: 'demote'; winner: number; ours: number | null; file: NonNullable<File> }
  | { kind: 'promote'; urgent: boolean; file: NonNullable<File> }

export interface Decided {
  intents: readonly Intent[]
  quarantined: boolean
}

const NOW = { monotonicMs: 10_000_000, wallMs: 1_800_000_000_000, serverMs: 1_800_000_007_000, observedMs: 5_000_000 }
const idOf = (cluster: number) => 10 * (cluster + 1)

/** What the real `decide` wants in this view. A plan with several wishes gives several intents: any may fail alone. */
export function decideIn(view: LocalView): Decided {
  const { seen, memory, config } = concrete(view)
  const plan = decide(seen, memory, config)
  const { step, publish } = plan
  const intents: Intent[] = []
  if (publish) intents.push({ kind: 'publish', file: fileOf(publish) })
  if (step.kind === 'tend') {
    if (step.addIds.length > 0) intents.push({ kind: 'add' })
    for (const { cluster } of step.fence) intents.push({ kind: 'fence', cluster: indexOf(cluster) })
  } else if (step.kind === 'demote') {
    const ours = step.ours?.epoch ?? null
    intents.push({ kind: 'demote', winner: indexOf(step.winner), ours, file: fileOf(step.status) })
  } else if (step.kind === 'promote') {
    const urgent = step.cause === 'emergency' || step.cause === 'last_resort'
    intents.push({ kind: 'promote', urgent, file: fileOf(step.status) })
  }
  const from = plan.next.quarantineFromServerMs
  const quarantined = from !== undefined && NOW.serverMs - from < config.timing.quarantineMs
  return { intents, quarantined }
}

/** Whether the last look before a removal, as the executor takes it, finds that the tag may go. */
export function mayRemove(view: LocalView, winner: number, ours: number | null): boolean {
  const { seen, memory, config } = concrete(view)
  const views = viewClusters(remember(memory, seen, config), seen, config)
  const peer = views.peers.find(({ config: { name } }) => name === NAMES[winner])
  const claim = ours === null ? null : { epoch: ours, cluster: config.self }
  return peer !== undefined && evidenceFor(peer, claim) && !views.self.claim
}

const pools = new Map<string, PoolConfig>()
function poolFor(clusters: number, self: number): PoolConfig {
  const key = `${clusters}${self}`
  const pool = pools.get(key) ?? poolOf(nameOf(self), NAMES.slice(0, clusters))
  pools.set(key, pool)
  return pool
}

/** An observation and a memory of which this view is the abstraction; all waiting times are over. */
export function concrete(view: LocalView): { seen: Observation; memory: Memory; config: PoolConfig } {
  const { self, files, tags, fresh } = view
  const config = poolFor(view.clusters, self)
  const { timing } = config
  const names = config.clusters.map(({ name }) => name)
  const statusOf = (cluster: number, file: NonNullable<File>): PoolStatus => ({
    digest: config.digest,
    epoch: file.epoch,
    active: file.active,
    available: 4,
    total: 4,
    desired: null,
    lastKnown: 4,
    unknownForSeconds: 0,
    servingIds: [idOf(cluster)],
    reason: '',
  })
  const readings = names.map((name, index): [string, FileReading] => {
    const file = files[index]
    return [name, file ? { kind: 'read', seq: 7, status: statusOf(index, file) } : { kind: 'absent' }]
  })
  const pin = { to: config.self, untilMs: NOW.serverMs + 60_000, by: 'kim', why: 'test', force: true }
  const seen: Observation = {
    monotonicMs: NOW.monotonicMs,
    wallMs: NOW.wallMs,
    gitlab: {
      readable: true,
      serverMs: NOW.serverMs,
      runners: names.map((name, index) => ({
        id: idOf(index),
        cluster: name,
        tagged: tags[index] === true,
        paused: false,
        online: true,
        contactedAtMs: undefined,
      })),
      files: Object.fromEntries(readings),
      control: { kind: 'read', control: view.pinned ? { pin } : {} },
    },
    own: { known: true, available: 4, unknownPods: 0, total: 4, desired: null, servingIds: [idOf(self)] },
    outcomes: fresh
      ? { wakes: {} }
      : {
          wakes: {},
          // The own file in this observation has seq 7.
          ...(view.word ? { ownWord: { seq: 8, ...view.word } } : {}),
          lastPublishMonotonicMs: NOW.monotonicMs - timing.heartbeatMs,
          ownSeqPublishedMonotonicMs: NOW.monotonicMs - timing.heartbeatMs,
          ...(view.doubtful ? { doubtMonotonicMs: NOW.monotonicMs - timing.pollMs } : {}),
        },
  }
  if (fresh) return { seen, memory: NO_MEMORY, config }

  const peers: [string, PeerMemory][] = []
  for (const [index, name] of names.entries()) {
    const file = files[index]
    if (index === self || !file) continue
    peers.push([name, peerMemory(view.knowledge[index] ?? 'live', statusOf(index, file))])
  }
  const own = files[self]
  const memory: Memory = {
    ...NO_MEMORY,
    observedMs: NOW.observedMs - timing.pollMs,
    lastCycle: { monotonicMs: NOW.monotonicMs - timing.pollMs, wallMs: NOW.wallMs - timing.pollMs },
    lastReadMonotonicMs: NOW.monotonicMs - timing.pollMs,
    startedMonotonicMs: 0,
    peers: Object.fromEntries(peers),
    ...(view.lastOwn === 'none'
      ? {}
      : { ownStatus: { ...statusOf(self, own ?? { epoch: 0, active: false }), active: view.lastOwn === 'active' } }),
    lastKnown: 4,
    servingIds: [idOf(self)],
    epochSeen: Math.max(0, ...files.map(file => file?.epoch ?? 0)),
    ...(view.quarantined ? { quarantineFromServerMs: NOW.serverMs - timing.pollMs } : {}),
    since: { nobodyEffective: 0, nobodyScores: 0, better: 0 },
  }
  return { seen, memory, config }
}

function peerMemory(knowledge: Knowledge, status: PoolStatus): PeerMemory {
  const agoMs = knowledge === 'dead' ? 200_000 : 20_000
  const peer: PeerMemory = {
    // The file in the observation has seq 7.
    seq: knowledge === 'proven' ? 6 : 7,
    status,
    unreadable: false,
    changedObservedMs: NOW.observedMs - agoMs,
    changedMonotonicMs: NOW.monotonicMs - agoMs,
    changedWallMs: NOW.wallMs - agoMs,
    confirmed: knowledge === 'proven',
  }
  if (knowledge !== 'dead') return peer
  return { ...peer, probe: { phase: 'inconclusive', startedMs: NOW.observedMs - 100_000, before: {} } }
}

function fileOf({ epoch, active }: PoolStatus): NonNullable<File> {
  return { epoch, active }
}

function nameOf(cluster: number): string {
  const name = NAMES[cluster]
  if (name === undefined) throw new Error(`no cluster ${cluster}`)
  return name
}

function indexOf(name: string): number {
  return (NAMES as readonly string[]).indexOf(name)
}
