import { Registry } from 'prom-client'
import type { Test } from 'tap'
import { serviceNames } from '../../certs/build.ts'
import type { GenerateKey } from '../../certs/keys.ts'
import { createCertificateMetrics } from '../../certs/metrics.ts'
import { createSelfSignedSource, type SelfSignedTiming } from '../../certs/self-signed.ts'
import type { CaBundlePublisher, SecretStore } from '../../certs/stores.ts'
import type { Clock } from '../../lib/service/clock.ts'
import { silentLog } from '../../lib/service/log.ts'
import type { ManualClock } from './manual-clock.ts'
import { createRandom } from './random.ts'
import { createKeyPool, startTlsServer } from './tls.ts'

export const MINUTE_MS = 60_000
const names = serviceNames('hadr-webhook', 'hadr-system')
export const servername = 'hadr-webhook.hadr-system.svc'
export const pool = await createKeyPool(8)

/** Hours instead of a year, minutes instead of days, the real time of settling. */
const timing: SelfSignedTiming = {
  authorityLifeMs: 180 * MINUTE_MS,
  leafLifeMs: 30 * MINUTE_MS,
  settleMs: 5 * MINUTE_MS,
  lookMs: 30_000,
}

interface ReplicaOptions {
  secrets: SecretStore
  bundles: CaBundlePublisher
  clock: Clock
  seed: number
  timing?: SelfSignedTiming
  generateKey?: GenerateKey
}

/** One replica: its source of certificates, wired to a TLS server of its own. */
export async function startReplica(t: Test, { seed, ...options }: ReplicaOptions) {
  const server = await startTlsServer(t)
  const registry = new Registry()
  const metrics = createCertificateMetrics(registry)
  const deps = { names, metrics, random: createRandom(seed), log: silentLog, generateKey: pool, timing, ...options }
  const source = createSelfSignedSource(deps)
  let pairs = 0
  source.subscribe(pair => {
    pairs++
    server.use(pair)
  })
  source.start()
  t.teardown(() => source.stop())
  const sample = async (name: string, labels = {}) => {
    const metric = await registry.getSingleMetric(`gitlab_runner_hadr_webhook_${name}`)?.get()
    return metric?.values.find(value => Object.entries(labels).every(([key, label]) => value.labels[key] === label))
      ?.value
  }
  return { port: server.port, source, sample, pairs: () => pairs }
}

/** Moves on in steps short enough that whatever was woken is done before the next timer. */
export async function pass(clock: ManualClock, ms: number): Promise<void> {
  for (let step = 0; step < ms; step += 1000) await clock.advance(Math.min(1000, ms - step))
}

export async function until(clock: ManualClock, holds: () => boolean): Promise<void> {
  for (let step = 0; step < 600 && !holds(); step++) await pass(clock, 1000)
  if (!holds()) throw new Error('nothing of the kind within ten minutes')
}
