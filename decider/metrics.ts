import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { OPERATIONS } from './act/act.ts'
import { WRITE_RESULTS } from './act/tag-writer.ts'
import type { Decision } from './loop.ts'
import { ageMs, silenceMs } from './memory.ts'
import { type PoolConfig, PROMOTION_CAUSES, STATES } from './model.ts'
import { viewClusters } from './views.ts'

const PREFIX = 'gitlab_runner_hadr_decider'

/**
 * The decider's metrics, in the registry it is given. Label sets are closed and initialised, so that `rate()` and
 * absence alerts work; a value that is unknown is absent.
 */
export function createDeciderMetrics(registry: Registry, pools: readonly PoolConfig[]) {
  const registers = [registry]
  const gauge = (name: string, help: string, labelNames: string[]) =>
    new Gauge({ name: `${PREFIX}_${name}`, help, labelNames, registers })
  const counter = (name: string, help: string, labelNames: string[]) =>
    new Counter({ name: `${PREFIX}_${name}`, help, labelNames, registers })

  const state = gauge('state', 'Which state the pool is in: 1 for that one, 0 for the others.', ['pool', 'state'])
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
  const switches = counter('switches_total', 'Promotions of this cluster by cause.', ['pool', 'cause'])
  const deeds = counter('operations_total', 'Writes to GitLab by kind and result.', ['pool', 'operation', 'result'])
  const noneHolding = counter('none_holding_seconds_total', 'Seen time in which nobody held the main tag.', ['pool'])
  const dualHolding = counter('dual_holding_seconds_total', 'Seen time in which several clusters held it.', ['pool'])
  const requests = counter('gitlab_requests_total', 'Requests to GitLab by outcome.', ['outcome'])
  const cycle = new Histogram({
    name: `${PREFIX}_cycle_seconds`,
    help: 'Duration of a cycle: observe, decide, act.',
    labelNames: ['pool'],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60],
    registers,
  })

  for (const { name: pool } of pools) {
    for (const cause of PROMOTION_CAUSES) switches.inc({ pool, cause }, 0)
    for (const operation of OPERATIONS) {
      for (const result of WRITE_RESULTS) deeds.inc({ pool, operation, result }, 0)
    }
    noneHolding.inc({ pool }, 0)
    dualHolding.inc({ pool }, 0)
  }

  function record({ seen, previous, plan, deeds: done, durationMs }: Decision, config: PoolConfig): void {
    const pool = config.name
    for (const each of STATES) state.set({ pool, state: each }, each === plan.state ? 1 : 0)
    cycle.observe({ pool }, durationMs / 1000)
    for (const { operation, result } of done) deeds.inc({ pool, operation, result })
    const claimed = done.some(({ operation, result }) => operation === 'add' && result === 'done')
    if (plan.step.kind === 'promote' && claimed) switches.inc({ pool, cause: plan.step.cause })
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

  return { record, countRequest: (outcome: string) => requests.inc({ outcome }) }
}

export type DeciderMetrics = ReturnType<typeof createDeciderMetrics>
