import { readPoolStatus } from './documents.ts'
import type { PoolConfig } from './model.ts'
import { statusObjection } from './pin.ts'

interface Signed {
  /** Milliseconds since 1970. */
  untilMs: number
  by: string
  why: string
}

/** What people want for one pool. A new pause or pin takes the place of the old one. */
export type ControlChange =
  | ({ kind: 'pause'; pool: string } & Signed)
  | { kind: 'resume'; pool: string }
  | ({ kind: 'pin'; pool: string; to: string; force: boolean } & Signed)
  | { kind: 'unpin'; pool: string }

export type ControlResult = { ok: true; content: string } | { ok: false; why: string }

/** Longer wishes are forgotten ones: they hold back every move by preference, and a pin most emergencies. */
const LONGEST_MS = 30 * 24 * 3_600_000
const MAX_WORDS = 2000

/**
 * The new text of `control.json`. Pure. `content` is the file as it is, null when there is none; everything in it that is not
 * this pool's pause or pin stays. Refuses what no decider would obey, and to write over a file that it does not understand.
 */
export function changeControl(
  content: string | null,
  change: ControlChange,
  pools: readonly Pick<PoolConfig, 'name' | 'clusters'>[],
  nowMs: number,
): ControlResult {
  const pool = pools.find(({ name }) => name === change.pool)
  if (!pool) return refuse(`there is no pool ${change.pool}; pools: ${pools.map(({ name }) => name).join(', ')}`)
  const flaw = 'untilMs' in change ? flawOf(change, nowMs) : undefined
  if (flaw !== undefined) return refuse(flaw)
  if (change.kind === 'pin' && !pool.clusters.some(({ name }) => name === change.to)) {
    const names = pool.clusters.map(({ name }) => name).join(', ')
    return refuse(`pool ${pool.name} has no cluster ${change.to}; clusters: ${names}`)
  }
  const document = parse(content)
  if (!document) return refuse('control.json is not a document of schema 1: mend it by hand first')
  const { pools: all } = document
  const wishes = Object.hasOwn(all, pool.name) ? all[pool.name] : {}
  if (!isRecord(wishes)) return refuse(`control.json holds no wishes for pool ${pool.name} that can be understood`)

  const { pause, pin, ...others } = wishes
  const changed = { ...others, ...kept(change, pause, pin) }
  // Without a prototype's setter: a pool may be called like a word that objects know.
  const next = new Map(Object.entries(all))
  if (Object.keys(changed).length > 0) next.set(pool.name, changed)
  else next.delete(pool.name)
  const text = JSON.stringify({ ...document, pools: Object.fromEntries(next) }, null, 2)
  return { ok: true, content: `${text}\n` }
}

/**
 * Why a pin to this cluster would be refused, by the text of the cluster's `status.json` (null: it has none); undefined:
 * nothing speaks against it. One look cannot tell whether the cluster lives: that the decider checks.
 */
export function pinObjection(
  pool: Pick<PoolConfig, 'name' | 'digest'>,
  to: string,
  content: string | null,
  { force }: { force: boolean },
): string | undefined {
  const reading = readPoolStatus(content, to, pool.name)
  if (reading.kind === 'absent') return `no decider has ever spoken for cluster ${to}`
  if (reading.kind === 'unreadable') return `the status of cluster ${to} cannot be understood: ${reading.why}`
  if (reading.status.digest !== pool.digest) {
    return `cluster ${to} works with another configuration of the pool, so that nothing moves until they agree`
  }
  const objection = statusObjection(reading.status, { force })
  return objection && `cluster ${to}: ${objection}`
}

function kept(change: ControlChange, pause: unknown, pin: unknown): Record<string, unknown> {
  const old = { ...(pause === undefined ? {} : { pause }), ...(pin === undefined ? {} : { pin }) }
  switch (change.kind) {
    case 'pause':
      return { ...old, pause: signed(change) }
    case 'pin':
      return { ...old, pin: { to: change.to, ...signed(change), ...(change.force ? { force: true } : {}) } }
    case 'resume':
      return pin === undefined ? {} : { pin }
    case 'unpin':
      return pause === undefined ? {} : { pause }
  }
}

function signed({ untilMs, by, why }: Signed) {
  return { until: new Date(untilMs).toISOString(), by, why }
}

function flawOf({ untilMs, by, why }: Signed, nowMs: number): string | undefined {
  if (!Number.isFinite(untilMs) || untilMs <= nowMs) return 'the end must lie in the future'
  if (untilMs - nowMs > LONGEST_MS) return 'the end must lie within 30 days, so that nobody forgets it'
  for (const [name, text] of Object.entries({ by, why })) {
    if (text.trim() === '') return `${name} must not be empty: others will ask`
    if (text.length > MAX_WORDS) return `${name} must have at most ${MAX_WORDS} characters`
  }
  return undefined
}

function parse(content: string | null): { schema: 1; pools: Record<string, unknown> } | undefined {
  if (content === null) return { schema: 1, pools: {} }
  try {
    const parsed: unknown = JSON.parse(content)
    if (!isRecord(parsed) || parsed['schema'] !== 1 || !isRecord(parsed['pools'])) return undefined
    return { ...parsed, schema: 1, pools: parsed['pools'] }
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function refuse(why: string): ControlResult {
  return { ok: false, why }
}
