import { setMaxListeners } from 'node:events'
import { isDeepStrictEqual } from 'node:util'
import type { Registry } from 'prom-client'
import type { GitLabFleet } from '../../lib/gitlab/fleet.ts'
import type { PrometheusClient } from '../../lib/prometheus/client.ts'
import type { Clock, Random } from '../../lib/service/clock.ts'
import type { Log } from '../../lib/service/log.ts'
import type { DeciderConfig } from '../config.ts'
import type { Decision } from '../loop.ts'
import { type FleetConfig, fleetsOf } from './config.ts'
import type { JobEvent } from './hooks.ts'
import { type Housekeeper, createHousekeeper } from './housekeeping/housekeeper.ts'
import { type Keeper, createKeeper } from './keeper.ts'
import { takes } from './demand.ts'
import { createFleetMetrics } from './metrics.ts'
import type { FleetReport } from './report.ts'
import { type ScalerClient, createScaler } from './scaler.ts'
import { situationOf } from './situation.ts'

export interface FleetDeps {
  config: DeciderConfig
  prometheus: Pick<PrometheusClient, 'instant'>
  gitlab: GitLabFleet
  /** Missing: nothing can be scaled here. */
  kubernetes?: ScalerClient
  /** Where a Deployment is whose namespace is not configured. */
  namespace: string
  /** A runner's own token from its file. */
  readToken: (file: string) => Promise<string>
  tell: (type: 'Normal' | 'Warning', reason: string, note: string) => void
  dryRun: boolean
  registry: Registry
  clock: Clock
  random: Random
  log: Log
}

/** Whoever leads, as far as a fleet must know. */
export interface FleetLeading {
  lost: AbortSignal
  still: () => boolean
}

/**
 * The fleets of all pools, beside the decider's own cycles: loops, clients and deadlines of their own, so that nothing here
 * delays or fails a decision. No method throws.
 */
export interface Fleet {
  /** Works until `lost` aborts, or `stop`. */
  lead(leading: FleetLeading): void
  record(decision: Decision): void
  use(config: DeciderConfig): void
  /** A job was created or waits; looks soon where that may matter. Says whether it does anywhere. */
  hint(event: JobEvent): boolean
  /** Resolves when the writes under way have ended. */
  stop(): Promise<void>
  report(pool: string): FleetReport | undefined
}

interface Part {
  config: FleetConfig
  keeper: Keeper
  housekeeper: Housekeeper | undefined
  stop: AbortController
}

export function createFleet(deps: FleetDeps): Fleet & { metrics: ReturnType<typeof createFleetMetrics> } {
  const { log, kubernetes } = deps
  const metrics = createFleetMetrics(deps.registry)
  const parts = new Map<string, Part>()
  const ending = new Set<Promise<void>>()
  let config = deps.config
  let leading: FleetLeading | undefined

  function start(fleet: FleetConfig, now: FleetLeading): Part {
    const stop = new AbortController()
    setMaxListeners(0, stop.signal)
    const maySend = () => !stop.signal.aborted && now.still()
    const { target } = fleet
    const common = { ...deps, metrics, maySend }
    const keeper = createKeeper(fleet, {
      ...common,
      ...(target &&
        kubernetes && {
          scaler: createScaler(kubernetes, { ...target, namespace: target.namespace ?? deps.namespace }),
        }),
    })
    const housekeeper = fleet.housekeeping && createHousekeeper(fleet, fleet.housekeeping, common)
    for (const loop of [keeper.run(stop.signal), housekeeper?.run(stop.signal)]) {
      if (!loop) continue
      ending.add(loop)
      void loop.finally(() => ending.delete(loop))
    }
    return { config: fleet, keeper, housekeeper, stop }
  }

  function end(pool: string, why: string): void {
    parts.get(pool)?.stop.abort(new Error(why))
    parts.delete(pool)
  }

  function arrange(): void {
    if (!leading || leading.lost.aborted) return
    const wanted = fleetsOf(config)
    for (const [pool, part] of parts) {
      const same = wanted.some(fleet => isDeepStrictEqual(fleet, part.config))
      if (!same) end(pool, 'the fleet is configured otherwise')
    }
    for (const fleet of wanted) if (!parts.has(fleet.pool)) parts.set(fleet.pool, start(fleet, leading))
  }

  function endAll(why: string): void {
    for (const pool of [...parts.keys()]) end(pool, why)
    leading = undefined
  }

  return {
    metrics,
    lead(now) {
      endAll('another term begins')
      leading = now
      now.lost.addEventListener('abort', () => leading === now && endAll('this process no longer leads'), {
        once: true,
      })
      arrange()
    },
    record(decision) {
      const part = parts.get(decision.pool)
      if (!part) return
      try {
        const situation = situationOf(decision)
        if (!situation) return
        part.keeper.use(situation)
        part.housekeeper?.use(situation)
      } catch (error) {
        log.error({ pool: decision.pool, err: error }, 'the fleet could not use a decision')
      }
    },
    use(wanted) {
      config = wanted
      arrange()
    },
    hint(event) {
      const concerned = [...parts.values()].filter(({ config: { mainTag, clusterTag, tags } }) =>
        event.tags === undefined ? true : takes(new Set([mainTag, clusterTag, ...tags]), event.tags),
      )
      for (const { keeper } of concerned) keeper.hint()
      return concerned.length > 0
    },
    async stop() {
      endAll('the decider stops')
      await Promise.all(ending)
    },
    report(pool) {
      const part = parts.get(pool)
      return part && { ...part.keeper.report(), housekeeping: part.housekeeper?.report() ?? [] }
    },
  }
}
