import { readControl } from './documents.ts'
import type { PoolStatus } from './model.ts'

/** A cluster's word on one pool, as its branch shows it. */
export interface ClusterWord {
  cluster: string
  /** Undefined: its status file cannot be read, or does not speak of this pool. */
  status: PoolStatus | undefined
  /** Since its last heartbeat, by GitLab's clock. */
  ageMs: number
}

/** What somebody asks for; `untilMs` on GitLab's clock. */
export type ControlRequest =
  | { kind: 'pin'; pool: string; to: string; untilMs: number; by: string; why: string; force: boolean }
  | { kind: 'pause'; pool: string; untilMs: number; by: string; why: string }
  /** Ends the pool's pause and its pin. */
  | { kind: 'resume'; pool: string }

export type ControlAnswer =
  | { kind: 'changed'; content: string; pruned: readonly string[] }
  /** There is nothing to change. */
  | { kind: 'unchanged'; why: string }
  | { kind: 'refused'; why: string; mend: string; forceHelps: boolean }

export interface ControlSituation {
  /** The pool's clusters that have a branch. */
  words: readonly ClusterWord[]
  /** Every pool that any cluster speaks of. */
  pools: readonly string[]
  nowMs: number
  /** A heartbeat older than this comes from nobody: the longest T_dead of all profiles. */
  silentAfterMs: number
}

/** Nobody remembers a wish for longer; it would surprise. */
const MAX_WISH_MS = 30 * 24 * 3600 * 1000

type Entries = Record<string, unknown>

/**
 * The `control.json` that grants a request, from the present one (null: there is none) and what the clusters say. Pure.
 * What is over by `nowMs` is left out; other pools' wishes stay as they are, those that cannot be understood too.
 * A pin is refused where the deciders would not follow it, because a wish that waits unseen surprises later; `force` only
 * skips what the protocol lets it skip, and never a target that is known to have no available runner.
 */
export function changeControl(
  current: string | null,
  request: ControlRequest,
  situation: ControlSituation,
): ControlAnswer {
  const { pool } = request
  if (!situation.pools.includes(pool)) {
    const known = situation.pools.length === 0 ? 'no decider has published yet' : `known: ${situation.pools.join(', ')}`
    return refused(`there is no pool ${pool}`, `Name one that a decider serves (${known}).`)
  }
  const reading = readControl(current, pool)
  const entries = entriesOf(current)
  if (!entries) {
    const why = reading.kind === 'unreadable' ? reading.why : 'unknown schema'
    return refused(
      `control.json cannot be understood (${why})`,
      'Correct it in GitLab, or delete it: without it there are no wishes.',
    )
  }
  const { kept, pruned } = prune(entries, situation.nowMs)
  // What is broken in the pool's own wishes goes with this change: it blocks the deciders until somebody removes it.
  const before = Object.fromEntries(
    Object.entries(recordOf(kept[pool])).filter(([name, wish]) => untilOf(name, wish) !== undefined),
  )

  if (request.kind === 'resume') {
    if (kept[pool] === undefined) {
      return { kind: 'unchanged', why: `Pool ${pool} is neither paused nor pinned.` }
    }
    return changed(Object.fromEntries(Object.entries(kept).filter(([name]) => name !== pool)), pruned)
  }
  const lastsMs = request.untilMs - situation.nowMs
  if (lastsMs <= 0 || lastsMs > MAX_WISH_MS)
    return refused('the time must be between now and 30 days', 'Give another --for.')
  const { by, why } = request
  const until = new Date(request.untilMs).toISOString()
  if (request.kind === 'pause') return changed({ ...kept, [pool]: { ...before, pause: { until, by, why } } }, pruned)

  const obstacle = pinObstacle(request, situation, before['pause'] !== undefined)
  if (obstacle) return obstacle
  const pin = { to: request.to, until, by, why, ...(request.force && { force: true }) }
  return changed({ ...kept, [pool]: { ...before, pin } }, pruned)
}

function pinObstacle(
  { pool, to, force }: Extract<ControlRequest, { kind: 'pin' }>,
  { words, silentAfterMs }: ControlSituation,
  paused: boolean,
): ControlAnswer | undefined {
  const target = words.find(({ cluster }) => cluster === to)
  if (!target) {
    const known = words.map(({ cluster }) => cluster).join(', ') || 'none'
    return refused(`pool ${pool} has no cluster ${to}`, `Name one of its clusters (known: ${known}).`)
  }
  const { status, ageMs } = target
  if (!status) {
    return refused(
      `the status file of cluster ${to} cannot be read for pool ${pool}`,
      `Look at branch hadr/${to} and at that cluster’s decider.`,
    )
  }
  if (status.available === 0) {
    return refused(
      `cluster ${to} has no available runner, so nobody would serve`,
      `Bring its runners up first. --force does not change this.`,
    )
  }
  if (paused) return refused(`pool ${pool} is paused, so nothing moves`, `hadr resume --pool ${pool}, then switch.`)
  const fresh = words.filter(word => word.status && word.ageMs <= silentAfterMs)
  const digests = new Set(fresh.map(word => word.status?.digest))
  if (digests.size > 1) {
    return refused(
      `the deciders of ${fresh.map(({ cluster }) => cluster).join(' and ')} work with different configurations, so nothing moves`,
      'Give all deciders the same main tag, clusters, cluster tags and strength mode.',
    )
  }
  if (force) return undefined
  if (ageMs > silentAfterMs) {
    return refused(
      `the decider of cluster ${to} has been silent for ${Math.round(ageMs / 1000)} s, so it would not take over`,
      `Look at it first; with --force the pin waits for it.`,
      true,
    )
  }
  if (status.available === null) {
    return refused(
      `it is not known how many runners of cluster ${to} are available`,
      `Look at its Prometheus; with --force it takes over without knowing.`,
      true,
    )
  }
  return undefined
}

function refused(why: string, mend: string, forceHelps = false): ControlAnswer {
  return { kind: 'refused', why, mend, forceHelps }
}

function changed(pools: Entries, pruned: readonly string[]): ControlAnswer {
  const sorted = Object.fromEntries(Object.entries(pools).sort(([a], [b]) => (a < b ? -1 : 1)))
  return { kind: 'changed', content: `${JSON.stringify({ schema: 1, pools: sorted }, null, 2)}\n`, pruned }
}

/** Undefined where the document as a whole cannot be understood. */
function entriesOf(current: string | null): Entries | undefined {
  if (current === null) return {}
  // A pool's own wishes may be broken, the document may not: it is asked about a pool that nobody can have.
  if (readControl(current, '').kind === 'unreadable') return undefined
  return (JSON.parse(current) as { pools: Entries }).pools
}

/** Leaves out wishes that are over, and pools without any. */
function prune(entries: Entries, nowMs: number): { kept: Entries; pruned: string[] } {
  const pruned: string[] = []
  const kept: Entries = {}
  for (const [pool, wishes] of Object.entries(entries)) {
    if (!isRecord(wishes)) {
      kept[pool] = wishes
      continue
    }
    const live = Object.entries(wishes).filter(([name, wish]) => {
      const over = (untilOf(name, wish) ?? Infinity) <= nowMs
      if (over) pruned.push(`${name} of ${pool}`)
      return !over
    })
    if (live.length > 0) kept[pool] = Object.fromEntries(live)
  }
  return { kept, pruned }
}

/** When a wish ends; undefined where it is none that the deciders understand. */
function untilOf(name: string, wish: unknown): number | undefined {
  const reading = readControl(JSON.stringify({ schema: 1, pools: { probe: { [name]: wish } } }), 'probe')
  if (reading.kind === 'unreadable') return undefined
  return reading.control.pause?.untilMs ?? reading.control.pin?.untilMs
}

function recordOf(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {}
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
