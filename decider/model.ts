/**
 * The decider's data: what it is told (PoolConfig, Observation), what it remembers (Memory) and what it wants (Plan).
 * Everything here is plain data per pool; words and rules are those of the protocol (docs/failover.md).
 */

export interface ClusterConfig {
  name: string
  /** The tag that this cluster's runners always keep. */
  tag: string
  /** Ranks promotions when scores are equal; higher first. Local: it never enters a claim. */
  priority: number
  /** Multiplies strength. */
  weight: number
}

/** All durations of the protocol, in milliseconds. */
export interface Timing {
  /** H: a status file is published at least this often. */
  heartbeatMs: number
  /** T_dead: observed silence after which a peer is suspected. */
  deadAfterMs: number
  /** P: one cycle. */
  pollMs: number
  /** T_unknown: how long the last known number stands in for an unknown one. */
  unknownForMs: number
  /** T_settle: after a failed read of GitLab scores may rise, not fall, for this long. */
  settleMs: number
  failForMs: number
  /** Delay of a promotion per rank. */
  staggerMs: number
  lastResortMs: number
  preferForMs: number
  holdMinMs: number
  quarantineMs: number
  /** T_orphan: how long answering runners keep a silent cluster alive. */
  orphanMs: number
  /** How long a probe waits for an answer; 2 P when that is longer, and never longer than `probePendingMs`. */
  probeAnswerMs: number
  probePendingMs: number
  probeAliveMs: number
  probeRenewMs: number
  /** Older samples count as unknown. */
  sampleMaxAgeMs: number
}

export type StrengthMode = 'count' | 'health'

export interface PoolConfig {
  name: string
  mainTag: string
  /** Name of the cluster this decider runs in; one of `clusters`. */
  self: string
  clusters: readonly ClusterConfig[]
  strength: StrengthMode
  /** A preference move needs max(margin, marginRatio × incumbent's score) more. */
  margin: number
  marginRatio: number
  timing: Timing
  /** Hash of what every decider of the pool must agree on. */
  digest: string
  /** Where Kubernetes tells how many pods are wanted; missing: nobody does. */
  workloads?: { namespace?: string; selector: string }
}

/** One pool's part of a cluster's `status.json`. */
export interface PoolStatus {
  digest: string
  epoch: number
  active: boolean
  /** Pods that can take jobs; null: unknown. */
  available: number | null
  total: number
  desired: number | null
  lastKnown: number
  unknownForSeconds: number
  /** Runner entities behind which a pod is available. */
  servingIds: readonly number[]
  reason: string
  /** A rollout is under way; missing: nobody knows. */
  updating?: boolean
}

/** What one read of a cluster's status file gave, for one pool. */
export type FileReading =
  | { kind: 'absent' }
  /** Present but of an unknown schema, broken, or without this pool: the peer is unknown. */
  | { kind: 'unreadable'; why: string }
  | { kind: 'read'; seq: number; status: PoolStatus }

export interface Pause {
  untilMs: number
  by: string
  why: string
}

export interface Pin extends Pause {
  to: string
  force: boolean
}

/** People's wishes for one pool, from `control.json`. */
export interface Control {
  pause?: Pause
  pin?: Pin
}

export type ControlReading = { kind: 'read'; control: Control } | { kind: 'unreadable'; why: string }

/** A runner entity as the protocol sees it. */
export interface RunnerView {
  id: number
  /** The one cluster whose tag it carries; null: none or several, such a runner is never written. */
  cluster: string | null
  /** Carries the main tag. */
  tagged: boolean
  paused: boolean
  online: boolean | null
  /** GitLab's clock; null: never; undefined: this read did not tell. */
  contactedAtMs: number | null | undefined
}

/** This cluster's capacity for the pool, as its Prometheus shows it. */
export type OwnCapacity =
  | {
      known: true
      /** Pods known to be able to take jobs. */
      available: number
      /** Pods of which it is not known. */
      unknownPods: number
      total: number
      desired: number | null
      servingIds: readonly number[]
      /** A rollout is under way; missing: nobody knows. */
      updating?: boolean
    }
  /** `noPods`: Prometheus answered, whole, and knows of no pod at all. */
  | { known: false; why: string; noPods?: boolean }

export interface GitLabView {
  readable: true
  /** GitLab's clock. */
  serverMs: number
  runners: readonly RunnerView[]
  /** By cluster name; every configured cluster has an entry. */
  files: Readonly<Record<string, FileReading>>
  control: ControlReading
}

/** Results of the last cycle's writes that the next decision needs. */
export interface Outcomes {
  /** By cluster: contact time of each runner just before it was woken. */
  wakes: Readonly<Record<string, Readonly<Record<number, number | null>>>>
  /** GitLab's clock when a removal of the main tag from an own runner was last sent, whatever became of it. */
  removalSentServerMs?: number
  /** When this process last published successfully. */
  lastPublishMonotonicMs?: number
  /** When this process last sent a publish or a fencing of which nobody knows whether it was, or will be, applied. */
  doubtMonotonicMs?: number
  /** When this process published the seq that this cycle's read of the own file shows; undefined: it did not. */
  ownSeqPublishedMonotonicMs?: number
  /** What this process last sent of its claim, unless surely refused; undefined: nothing yet. */
  ownWord?: Word
}

/** What a status file of ours that landed, or may yet land, says of our claim. */
export interface Word {
  seq: number
  epoch: number
  active: boolean
}

export interface Observation {
  monotonicMs: number
  wallMs: number
  gitlab: GitLabView | { readable: false; why: string }
  own: OwnCapacity
  outcomes: Outcomes
}

/**
 * A running or ended question to a silent cluster's runners. Instants are on the observed clock (Memory.observedMs).
 */
export interface Probe {
  phase: 'pending' | 'alive' | 'inconclusive'
  startedMs: number
  /** Contact times before the newest wake; empty until a wake went through. */
  before: Readonly<Record<number, number | null>>
  wokenMs?: number
  firstAliveMs?: number
  aliveMs?: number
}

export interface PeerMemory {
  seq: number
  status: PoolStatus
  /** The newest read could not be understood. */
  unreadable: boolean
  /** Observed clock when the seq last changed, or was first seen: silence counts from here. */
  changedObservedMs: number
  changedMonotonicMs: number
  changedWallMs: number
  /** A change was seen since start or since the lease was gained, and no cycle gap over 2 P came after it. */
  confirmed: boolean
  probe?: Probe
}

/**
 * What one cycle hands to the next. The observed clock runs only while GitLab can be read, at most 2 P per read, so
 * that an outage of GitLab ages nobody.
 */
export interface Memory {
  observedMs: number
  lastCycle?: { monotonicMs: number; wallMs: number }
  lastReadMonotonicMs?: number
  startedMonotonicMs?: number
  /** Until then scores rise, but do not fall; absent: every read so far succeeded. */
  settleUntilMonotonicMs?: number
  peers: Readonly<Record<string, PeerMemory>>
  ownStatus?: PoolStatus
  /** At the first read the own file was active and no own runner carried the main tag: another one fenced us. */
  returnedUntagged: boolean
  lastKnown: number
  unknownForMs: number
  partialForMs: number
  servingIds: readonly number[]
  scores: Readonly<Record<string, number>>
  epochSeen: number
  epochChangedMs: number
  quarantineFromServerMs?: number
  /** The last `Outcomes.doubtMonotonicMs`. */
  doubtMonotonicMs?: number
  control?: Control
  /** Since when each condition holds without a break, on the observed clock; absent: it does not hold. */
  since: Readonly<Partial<Record<Condition, number>>>
}

/** What a cluster says by `active`; totally ordered by epoch, then name, and dependent on nothing local. */
export interface Claim {
  epoch: number
  cluster: string
}

export type Condition = 'nobodyEffective' | 'nobodyScores' | 'better' | 'pinTargetWeak'

export const STATES = [
  'HOLD',
  'CONFIG_MISMATCH',
  'PAUSED',
  'STANDBY',
  'WAITING',
  'PROMOTING',
  'LAST_RESORT',
  'ACTIVE',
  'DEMOTING',
  'PEER_DECIDER_DOWN',
] as const
/** A label derived from files, tags and plan; never stored, so it cannot disagree with the truth. */
export type State = (typeof STATES)[number]

export const PROMOTION_CAUSES = ['emergency', 'last_resort', 'pin', 'prefer'] as const
export type PromotionCause = (typeof PROMOTION_CAUSES)[number]

export const ALERT_KINDS = [
  'config_mismatch',
  'foreign_main_tag',
  'unreadable_file',
  'unreadable_control',
  'peer_decider_down',
  'cannot_publish',
  'pin_refused',
] as const

export type Alert =
  | { kind: 'config_mismatch'; clusters: readonly string[] }
  | { kind: 'foreign_main_tag'; runnerIds: readonly number[] }
  | { kind: 'unreadable_file'; cluster: string; why: string }
  | { kind: 'unreadable_control'; why: string }
  | { kind: 'peer_decider_down'; cluster: string }
  | { kind: 'cannot_publish'; forMs: number }
  /** People want another cluster, and it cannot serve. */
  | { kind: 'pin_refused'; to: string; why: string }

export type Step =
  | { kind: 'none' }
  | { kind: 'promote'; cause: PromotionCause; status: PoolStatus; addIds: readonly number[] }
  /** Publish inactive, read back, look again, and only then remove. */
  | { kind: 'demote'; winner: string; ours: Claim | null; status: PoolStatus; removeIds: readonly number[] }
  | { kind: 'tend'; addIds: readonly number[]; fence: readonly { cluster: string; runnerIds: readonly number[] }[] }

export interface Plan {
  state: State
  /** One sentence for people: why this and nothing else. */
  explain: string
  /** The own part to publish before the step, when it changed or the heartbeat is due. */
  publish?: PoolStatus
  step: Step
  /** Runners to wake, so that GitLab's contact time tells whether they live. */
  probes: readonly { cluster: string; runnerIds: readonly number[] }[]
  alerts: readonly Alert[]
  next: Memory
}
