import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { EXCHANGE_OUTCOMES, type Exchange } from './exchange.ts'
import type { Load } from './load.ts'
import { SKIP_REASONS, type SkipReason } from './reasons.ts'
import { labelsFor, type Outcome, type Reviewed } from './review.ts'

const PREFIX = 'gitlab_runner_hadr_webhook'

/** From a small pod on an idle machine to what the API server no longer waits for (`timeoutSeconds`). */
const SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3]

export interface WebhookMetrics {
  exchange(exchange: Exchange<Reviewed>): void
  handshakeFailed(): void
}

export interface WebhookMetricsOptions {
  registry: Registry
  load: () => Load
  /** Of the sidecar's configuration; also in each pod's audit annotation. */
  digest: string
}

/**
 * Registers the webhook's metrics; call it once per registry. Label sets are closed and initialised, so that `rate()`
 * and absence alerts work, and hold nothing of a request.
 */
export function createWebhookMetrics({ registry, load, digest }: WebhookMetricsOptions): WebhookMetrics {
  const registers = [registry]
  const admissions = new Counter({
    name: `${PREFIX}_admissions_total`,
    help: 'Reviews that were answered: pods given a sidecar (reason: how), left as they are (reason: why), or failed.',
    labelNames: ['result', 'reason'],
    registers,
  })
  const exchanges = new Counter({
    name: `${PREFIX}_exchanges_total`,
    help: 'HTTP exchanges by how they ended; answered is the only good one.',
    labelNames: ['outcome'],
    registers,
  })
  const duration = new Histogram({
    name: `${PREFIX}_exchange_duration_seconds`,
    help: "From the arrival of a request's headers to the last byte of the answer.",
    buckets: SECONDS,
    registers,
  })
  const errors = new Counter({
    name: `${PREFIX}_internal_errors_total`,
    help: 'Faults of the webhook itself; the pods were admitted without a sidecar.',
    registers,
  })
  const handshakes = new Counter({
    name: `${PREFIX}_tls_handshake_errors_total`,
    help: 'TLS handshakes that failed: mostly clients that do not trust the certificate.',
    registers,
  })
  new Gauge({
    name: `${PREFIX}_in_flight_requests`,
    help: 'Requests that are being received or answered.',
    registers,
    collect() {
      this.set(load().requests)
    },
  })
  new Gauge({
    name: `${PREFIX}_in_flight_bytes`,
    help: 'Announced size of the requests in flight.',
    registers,
    collect() {
      this.set(load().bytes)
    },
  })
  new Gauge({
    name: `${PREFIX}_config_info`,
    help: 'Always 1; the digest tells configurations of the sidecar apart.',
    labelNames: ['digest'],
    registers,
  }).set({ digest }, 1)

  for (const outcome of ALL_OUTCOMES) admissions.inc(labelsFor(outcome), 0)
  for (const outcome of EXCHANGE_OUTCOMES) exchanges.inc({ outcome }, 0)

  return {
    exchange: ({ outcome, durationMs, result }) => {
      exchanges.inc({ outcome })
      duration.observe(durationMs / 1000)
      const reviewed = result !== undefined && 'outcome' in result ? result.outcome : undefined
      if (reviewed !== undefined) admissions.inc(labelsFor(reviewed))
      if (outcome === 'failed' || reviewed?.kind === 'failed') errors.inc()
    },
    handshakeFailed: () => handshakes.inc(),
  }
}

const ALL_OUTCOMES: readonly Outcome[] = [
  { kind: 'injected', native: false },
  { kind: 'injected', native: true },
  ...(Object.keys(SKIP_REASONS) as SkipReason[]).map(reason => ({ kind: 'skipped', reason }) as const),
  { kind: 'failed', error: undefined },
]
