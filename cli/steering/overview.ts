import type { ClusterWord } from '../../decider/control.ts'
import { readControl } from '../../decider/documents.ts'
import { poolNameOf } from '../../decider/pool.ts'
import { timingOf } from '../../decider/timing.ts'
import type { Scene, SwitchRecord } from './read.ts'

/** The longest T_dead of all profiles: from outside nobody knows which one a decider runs with. */
export const SILENT_AFTER_MS = timingOf('gentle').deadAfterMs

export type Verdict = 'ok' | 'degraded' | 'nobody'

/** One cluster of a pool, as its own file and GitLab's clock tell it. */
export interface ClusterLine {
  cluster: string
  active: boolean
  epoch: number | null
  /** Pods that can take jobs; null: unknown. */
  available: number | null
  total: number | null
  heartbeatAgeSeconds: number
  silent: boolean
  /** The state that its decider published. */
  state: string | null
  decider: string | null
  /** Of its available runners: how many carry the main tag; null where the token may not read them. */
  tagged: { runners: number; carrying: number } | null
  /** Why its file cannot be used. */
  problem: string | null
}

export interface Wish {
  until: string
  by: string
  why: string
}

export interface PoolOverview {
  pool: string
  verdict: Verdict
  /** The cluster that holds the main tag; null: none. */
  holder: string | null
  /** Why it is not ok, in sentences. */
  because: string[]
  pause: Wish | null
  pin: (Wish & { to: string; force: boolean }) | null
  clusters: ClusterLine[]
  /** Newest first. */
  switches: Omit<SwitchRecord, 'pool'>[]
}

/** What `hadr status -o json` prints. Fields may be added, none is renamed or removed while `schema` is 1. */
export interface Overview {
  schema: 1
  at: string
  verdict: Verdict
  pools: PoolOverview[]
}

/** The scene in people's terms. Pure. `only` narrows it to one pool. */
export function overviewOf(scene: Scene, only?: string): Overview {
  const names = poolNames(scene).filter(name => only === undefined || name === only)
  const pools = names.map(name => poolOverview(scene, name))
  return { schema: 1, at: new Date(scene.nowMs).toISOString(), verdict: worst(pools), pools }
}

/** Every pool that a cluster speaks of. */
export function poolNames({ clusters }: Scene): string[] {
  const names = clusters.flatMap(({ reading }) => (reading.kind === 'read' ? Object.keys(reading.document.pools) : []))
  return [...new Set(names)].sort()
}

/** The clusters' words on one pool: of those that speak of it, and of those that cannot be understood at all. */
export function wordsOf({ clusters, nowMs }: Scene, pool: string): ClusterWord[] {
  return clusters.flatMap(({ cluster, reading, committedMs }): ClusterWord[] => {
    const ageMs = Math.max(0, nowMs - committedMs)
    if (reading.kind !== 'read') return [{ cluster, status: undefined, ageMs }]
    const status = Object.hasOwn(reading.document.pools, pool) ? reading.document.pools[pool] : undefined
    return status ? [{ cluster, status, ageMs }] : []
  })
}

/** The active cluster with the highest claim: epoch first, then name. Undefined: none is active. */
export function holderOf(words: readonly ClusterWord[]): ClusterWord | undefined {
  return [...words]
    .filter(({ status }) => status?.active)
    .sort((a, b) => epoch(b) - epoch(a) || (a.cluster < b.cluster ? 1 : -1))[0]
}

function epoch({ status }: ClusterWord): number {
  return status?.epoch ?? 0
}

function poolOverview(scene: Scene, pool: string): PoolOverview {
  const words = wordsOf(scene, pool)
  const holder = holderOf(words)
  const reading = readControl(scene.control?.content ?? null, pool)
  const control = reading.kind === 'read' ? reading.control : {}
  const live = <T extends { untilMs: number }>(wish: T | undefined) =>
    wish && wish.untilMs > scene.nowMs ? wish : undefined
  const pause = live(control.pause)
  const pin = live(control.pin)
  const clusters = words.map(word => clusterLine(scene, pool, word))

  const because: string[] = []
  if (!holder) because.push('No cluster holds the main tag.')
  const active = words.filter(({ status }) => status?.active)
  if (active.length > 1) because.push(`${active.map(word => word.cluster).join(' and ')} both hold the main tag.`)
  for (const line of clusters) {
    if (line.problem !== null) because.push(`The status of cluster ${line.cluster} cannot be read: ${line.problem}.`)
    else if (line.silent) because.push(`The decider of cluster ${line.cluster} is silent.`)
  }
  const held = clusters.find(({ cluster }) => cluster === holder?.cluster)
  if (held?.available === 0) because.push(`Cluster ${held.cluster} holds it without an available runner.`)
  if (held?.available === null) because.push(`The strength of cluster ${held.cluster} is unknown.`)
  if (held?.tagged?.carrying === 0) because.push(`No runner of cluster ${held.cluster} carries the main tag.`)
  const digests = new Set(
    words.filter(word => word.ageMs <= SILENT_AFTER_MS).flatMap(({ status }) => status?.digest ?? []),
  )
  if (digests.size > 1) because.push('The deciders work with different configurations, so nothing moves.')
  if (reading.kind === 'unreadable') because.push(`control.json cannot be understood: ${reading.why}.`)
  if (pause) because.push('Paused: a fail-over would not happen.')

  return {
    pool,
    verdict: !holder ? 'nobody' : because.length > 0 ? 'degraded' : 'ok',
    holder: holder?.cluster ?? null,
    because,
    pause: pause ? wish(pause) : null,
    pin: pin ? { ...wish(pin), to: pin.to, force: pin.force } : null,
    clusters,
    switches: scene.switches
      .filter(record => record.pool === pool)
      .map(({ epoch, cluster, at, cause, why }) => ({ epoch, cluster, at, cause, why })),
  }
}

function clusterLine(scene: Scene, pool: string, { cluster, status, ageMs }: ClusterWord): ClusterLine {
  const reading = scene.clusters.find(file => file.cluster === cluster)?.reading
  return {
    cluster,
    active: status?.active ?? false,
    epoch: status?.epoch ?? null,
    available: status?.available ?? null,
    total: status?.total ?? null,
    heartbeatAgeSeconds: Math.round(ageMs / 1000),
    silent: ageMs > SILENT_AFTER_MS,
    state: status?.reason ?? null,
    decider: reading?.kind === 'read' ? reading.document.decider.version : null,
    tagged: status ? taggedOf(scene, pool, status.servingIds) : null,
    problem: reading?.kind === 'unreadable' ? reading.why : null,
  }
}

/** The main tag is known by the pool's name, which is made from it unless the deciders' configuration says otherwise. */
function taggedOf({ runnerTags }: Scene, pool: string, ids: readonly number[]): ClusterLine['tagged'] {
  const mainTagKnown = [...runnerTags.values()].some(({ tags }) => tags.some(tag => poolNameOf(tag) === pool))
  const seen = ids.flatMap(id => runnerTags.get(id) ?? [])
  if (!mainTagKnown || seen.length === 0) return null
  const carrying = seen.filter(({ tags, paused }) => !paused && tags.some(tag => poolNameOf(tag) === pool))
  return { runners: seen.length, carrying: carrying.length }
}

function wish({ untilMs, by, why }: { untilMs: number; by: string; why: string }): Wish {
  return { until: new Date(untilMs).toISOString(), by, why }
}

/** No pool at all: nobody has ever published, so nobody holds. */
function worst(pools: readonly PoolOverview[]): Verdict {
  if (pools.length === 0 || pools.some(({ verdict }) => verdict === 'nobody')) return 'nobody'
  return pools.some(({ verdict }) => verdict === 'degraded') ? 'degraded' : 'ok'
}
