import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { OPERATIONS } from './act/act.ts'
import { WRITE_RESULTS } from './act/tag-writer.ts'
import type { Decision } from './loop.ts'
import { ageMs, silenceMs } from './memory.ts'
import { type PoolConfig, ALERT_KINDS, PROMOTION_CAUSES, STATES } from './model.ts'
import { type Views, viewClusters } from './views.ts'

const PREFIX = 'gitlab_runner_hadr_decider'

/** How the main tag can be where it should not be, or not where it should. */
const DRIFTS = ['missing', 'leftover', 'foreign', 'dead'] as const

/**
 * The decider's metrics, in the registry it is given. Label sets are closed and initialised, so that `rate()` and
 * absence alerts work; a value that is unknown is absent, and so is everything about pools while another process leads.
 */
export function createDeciderMetrics(registry: Registry) {
  const registers = [registry]
  /** Gauges of pools: what is true only while this process leads. */
  const poolGauges: Gauge[] = []
  const single = (name: string, help: string) => new Gauge({ name: `${PREFIX}_${name}`, help, registers })
  const gauge = (name: string, help: string, labelNames: string[]) => {
    const created = new Gauge({ name: `${PREFIX}_${name}`, help, labelNames, registers })
    poolGauges.push(created)
    return created
  }
  const counter = (name: string, help: string, labelNames: string[]) =>
    new Counter({ name: `${PREFIX}_${name}`, help, labelNames, registers })
  const histogram = (name: string, help: string, buckets: number[]) =>
    new Histogram({ name: `${PREFIX}_${name}`, help, labelNames: ['pool'], buckets, registers })

  const leader = single('leader', 'Whether this process acts for its cluster (1) or stands by (0).')
  const reloadSuccess = single('config_reload_success', 'Whether the configuration file as it is now is in use.')
  const reloadedAt = single(
    'config_last_reload_success_timestamp_seconds',
    'When the configuration in use was read for the first time.',
  )
  const rateLimit = single('gitlab_ratelimit_remaining', 'Requests that GitLab still allows in its current period.')
  // A gauge without labels would begin as 0, and GitLab need not tell at all.
  rateLimit.remove()

  const state = gauge('state', 'Which state the pool is in: 1 for that one, 0 for the others.', ['pool', 'state'])
  const alert = gauge('alert', 'What people must look at: 1 while it is so.', ['pool', 'kind'])
  const holders = gauge('holders', 'Clusters with an unpaused runner that carries the main tag.', ['pool'])
  const holding = gauge('holding_runners', 'Unpaused runners that carry the main tag.', ['pool', 'cluster'])
  const score = gauge('score', 'Strength of a cluster as this decider reckons with it.', ['pool', 'cluster'])
  const unknownFor = gauge(
    'capacity_unknown_seconds',
    'For how long it has not been known how many runners of this cluster can take jobs; 0 while it is known.',
    ['pool'],
  )
  const silence = gauge('peer_silence_seconds', 'Observed silence of a peer’s status file.', ['pool', 'cluster'])
  const age = gauge('peer_age_seconds', 'Time since a change of a peer’s status file was seen.', ['pool', 'cluster'])
  const proven = gauge('peer_proven', 'Whether the peer is proven to live now (1) or not (0).', ['pool', 'cluster'])
  const epoch = gauge('epoch', 'Highest epoch seen.', ['pool'])
  const paused = gauge('paused', 'Whether people paused the pool.', ['pool'])
  const pinned = gauge('pinned', 'Whether people pinned the main tag to a cluster.', ['pool'])
  const lastRead = gauge('gitlab_last_success_timestamp_seconds', 'When GitLab was last read whole.', ['pool'])
  const drift = gauge('tag_drift_runners', 'Runners whose main tag is not as the claims have it.', ['pool', 'kind'])
  const switches = counter('switches_total', 'Promotions of this cluster by cause.', ['pool', 'cause'])
  const deeds = counter('operations_total', 'Writes to GitLab by kind and result.', ['pool', 'operation', 'result'])
  const noneHolding = counter('none_holding_seconds_total', 'Seen time in which nobody held the main tag.', ['pool'])
  const dualHolding = counter('dual_holding_seconds_total', 'Seen time in which several clusters held it.', ['pool'])
  const requests = counter('gitlab_requests_total', 'Requests to GitLab.', ['endpoint', 'outcome'])
  const cycle = histogram(
    'cycle_seconds',
    'Duration of a cycle: observe, decide, act.',
    [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60],
  )
  const switching = histogram(
    'switch_duration_seconds',
    'Duration of a promotion from the look that decided it to the last tag written.',
    [0.25, 0.5, 1, 2.5, 5, 10, 20, 40],
  )

  /** Called when a term begins or the pools change: what is gone disappears, what is new begins at zero. */
  function use(pools: readonly PoolConfig[]): void {
    for (const each of poolGauges) each.reset()
    for (const { name: pool } of pools) {
      for (const cause of PROMOTION_CAUSES) switches.inc({ pool, cause }, 0)
      for (const operation of OPERATIONS) {
        for (const result of WRITE_RESULTS) deeds.inc({ pool, operation, result }, 0)
      }
      noneHolding.inc({ pool }, 0)
      dualHolding.inc({ pool }, 0)
    }
  }

  function record({ seen, previous, plan, deeds: done, durationMs }: Decision, config: PoolConfig): void {
    const pool = config.name
    for (const each of STATES) state.set({ pool, state: each }, each === plan.state ? 1 : 0)
    for (const kind of ALERT_KINDS) alert.set({ pool, kind }, plan.alerts.some(raised => raised.kind === kind) ? 1 : 0)
    cycle.observe({ pool }, durationMs / 1000)
    for (const { operation, result } of done) deeds.inc({ pool, operation, result })
    const claimed = done.some(({ operation, result }) => operation === 'add' && result === 'done')
    if (plan.step.kind === 'promote' && claimed) {
      switches.inc({ pool, cause: plan.step.cause })
      switching.observe({ pool }, durationMs / 1000)
    }
    if (!seen.gitlab.readable) return

    const { next } = plan
    const views = viewClusters(next, seen, config)
    const count = views.all.filter(view => view.holds.length > 0).length
    const seconds = (next.observedMs - previous.observedMs) / 1000
    holders.set({ pool }, count)
    if (count === 0) noneHolding.inc({ pool }, seconds)
    if (count > 1) dualHolding.inc({ pool }, seconds)
    epoch.set({ pool }, next.epochSeen)
    unknownFor.set({ pool }, next.unknownForMs / 1000)
    lastRead.set({ pool }, seen.wallMs / 1000)
    const { serverMs } = seen.gitlab
    paused.set({ pool }, next.control?.pause && serverMs < next.control.pause.untilMs ? 1 : 0)
    pinned.set({ pool }, next.control?.pin && serverMs < next.control.pin.untilMs ? 1 : 0)
    const foreign = seen.gitlab.runners.filter(runner => runner.cluster === null && runner.tagged).length
    const drifted = { ...driftOf(views), foreign }
    for (const kind of DRIFTS) drift.set({ pool, kind }, drifted[kind])
    for (const view of views.all) {
      const cluster = view.config.name
      holding.set({ pool, cluster }, view.holds.length)
      score.set({ pool, cluster }, view.score)
      const peer = next.peers[cluster]
      if (!peer) continue
      silence.set({ pool, cluster }, silenceMs(next, peer) / 1000)
      age.set({ pool, cluster }, ageMs(seen, peer) / 1000)
      proven.set({ pool, cluster }, view.proven ? 1 : 0)
    }
  }

  return {
    use,
    record,
    lead(leading: boolean): void {
      leader.set(leading ? 1 : 0)
      if (!leading) for (const each of poolGauges) each.reset()
    },
    /** The file as it is now is in use, or not. */
    reloaded(success: boolean, wallMs: number): void {
      reloadSuccess.set(success ? 1 : 0)
      if (success) reloadedAt.set(wallMs / 1000)
    },
    countRequest: (endpoint: string, outcome: string) => requests.inc({ endpoint, outcome }),
    rateLimitRemaining: (requestsLeft: number) => rateLimit.set(requestsLeft),
  }
}

/** `missing`: own runners without the tag under our claim; `leftover`: with it and without a claim; `dead`: of dead peers. */
function driftOf({ self, peers }: Views): Record<'missing' | 'leftover' | 'dead', number> {
  const tagged = self.runners.filter(runner => runner.tagged).length
  const dead = peers.filter(peer => peer.dead).flatMap(peer => peer.runners.filter(runner => runner.tagged))
  return {
    missing: self.claim ? self.runners.length - tagged : 0,
    leftover: self.claim ? 0 : tagged,
    dead: dead.length,
  }
}

export type DeciderMetrics = ReturnType<typeof createDeciderMetrics>
