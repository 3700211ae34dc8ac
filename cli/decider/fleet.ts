import type { Registry } from 'prom-client'
import type { DeciderConfig } from '../../decider/config.ts'
import { fleetsOf } from '../../decider/fleet/config.ts'
import { type Fleet, createFleet } from '../../decider/fleet/fleet.ts'
import { type HookServer, createHookServer } from '../../decider/fleet/hooks.ts'
import { rivalOf } from '../../decider/fleet/scaler.ts'
import type { GitLabFleet } from '../../lib/gitlab/fleet.ts'
import type { PrometheusClient } from '../../lib/prometheus/client.ts'
import { type Clock, type Random, withDeadline } from '../../lib/service/clock.ts'
import { parseListenAddress } from '../../lib/service/listen-address.ts'
import type { Log } from '../../lib/service/log.ts'
import { createTokenSource } from '../../lib/service/token-source.ts'
import type { KubernetesParts } from './kubernetes.ts'

const CHECK_WITHIN_MS = 10_000

export interface FleetSetting {
  config: DeciderConfig
  prometheus: PrometheusClient
  gitlab: GitLabFleet
  kubernetes: KubernetesParts
  registry: Registry
  dryRun: boolean
  clock: Clock
  random: Random
  log: Log
}

/** The fleets, and the server of GitLab's job events where one is configured. */
export function createFleetParts(setting: FleetSetting): { fleet: Fleet; hooks: HookServer | undefined } {
  const { config, kubernetes, log, clock } = setting
  const { client, namespace = 'default', events } = kubernetes
  const fleet = createFleet({
    config,
    prometheus: setting.prometheus,
    gitlab: setting.gitlab,
    ...(client && { kubernetes: client }),
    namespace,
    readToken: async file => {
      const token = await createTokenSource({ file, log }).token()
      if (token === undefined) throw new Error(`${file} holds no token`)
      return token
    },
    tell: (type, reason, note) => events?.tell(type, reason, 'Scale', note),
    dryRun: setting.dryRun,
    registry: setting.registry,
    clock,
    random: setting.random,
    log,
  })
  return { fleet, hooks: hooksOf(config, fleet, log) }
}

function hooksOf({ jobHooks }: DeciderConfig, fleet: ReturnType<typeof createFleet>, log: Log): HookServer | undefined {
  const listen = jobHooks && parseListenAddress(jobHooks.listen)
  if (!jobHooks || !listen) return undefined
  const source = createTokenSource({ file: jobHooks.tokenFile, log })
  return createHookServer({
    listen,
    token: () => source.token(),
    onEvent: event => fleet.hint(event),
    count: result => fleet.metrics.hinted(result),
    log,
  })
}

/**
 * Who else scales a Deployment that this decider is to scale, in words. What cannot be found out is none: the fleet asks
 * again before it acts, and a decider must start without it.
 */
export async function rivalMistakes(
  config: DeciderConfig,
  { client, namespace = 'default' }: KubernetesParts,
  { clock, log }: { clock: Clock; log: Log },
): Promise<string[]> {
  if (!client) return []
  const targets = fleetsOf(config).flatMap(({ target }) => target ?? [])
  const found = await Promise.all(
    targets.map(async ({ deployment, namespace: where = namespace }) => {
      try {
        return await withDeadline(clock, CHECK_WITHIN_MS, signal =>
          rivalOf(client, { namespace: where, deployment }, signal),
        )
      } catch (error) {
        log.warn({ err: error, deployment }, 'nobody can tell yet whether somebody else scales the Deployment')
        return undefined
      }
    }),
  )
  return found.filter(rival => rival !== undefined)
}
