import type { Registry } from 'prom-client'
import type { Clock } from '../lib/service/clock.ts'
import type { ListenAddress } from '../lib/service/listen-address.ts'
import type { Log } from '../lib/service/log.ts'
import type { ServingPair } from '../lib/tls/serving-pair.ts'
import { logExchange } from './admission-log.ts'
import { digestOf, type WebhookConfig } from './config.ts'
import { createWebhookMetrics } from './metrics.ts'
import { review, type Reviewed } from './review.ts'
import { createWebhookServer, type WebhookServerOptions } from './server.ts'

/** Where the certificate comes from; the first may come at any time, and each later one replaces it. */
export interface Certificates {
  subscribe(listener: (pair: ServingPair) => void): void
  /** True while clients can be expected to accept what is served; else in a few words why not. */
  ready(): true | string
}

export interface WebhookOptions extends Pick<WebhookServerOptions<Reviewed>, 'endpointLagMs' | 'limits'> {
  config: Pick<WebhookConfig, 'namespace' | 'sidecar'>
  listen: ListenAddress
  certificates: Certificates
  /** Whether the cluster is known to have native sidecars; asked for each pod, since that may become known later. */
  nativeSidecars: () => boolean
  registry: Registry
  clock: Clock
  log: Log
}

export interface Webhook {
  /** Waits for the first certificate, then listens. Rejects when the port is taken; never resolves without a certificate. */
  start(): Promise<void>
  /** Drains: says at once that it is not ready, and closes when no more calls can be on their way. */
  stop(): Promise<void>
  ready(): true | string
  address(): { host: string; port: number } | undefined
}

/** The whole webhook but its certificates: reviews over HTTPS, with metrics and one log line for each. */
export function createWebhook(options: WebhookOptions): Webhook {
  const { config, certificates, nativeSidecars, registry, clock, log } = options
  const digest = digestOf(config.sidecar)
  const metrics = createWebhookMetrics({ registry, digest, load: () => server.load() })
  const server = createWebhookServer<Reviewed>({
    ...options,
    review: body =>
      review(body, {
        sidecar: config.sidecar,
        ownNamespace: config.namespace,
        nativeSidecars: nativeSidecars(),
        digest,
      }),
    onExchange: exchange => {
      metrics.exchange(exchange)
      logExchange(log, exchange)
    },
    onHandshakeFailure: () => metrics.handshakeFailed(),
    clock,
    log,
  })
  let stopping = false

  function start(): Promise<void> {
    return new Promise((resolve, reject) => {
      let started = false
      certificates.subscribe(pair => {
        if (stopping) return
        if (started) {
          server.useCertificate(pair)
          return
        }
        started = true
        server.start(pair).then(resolve, reject)
      })
    })
  }

  function ready(): true | string {
    if (stopping) return 'draining'
    const trust = certificates.ready()
    return trust === true ? server.ready() : trust
  }

  return {
    start,
    stop: () => {
      stopping = true
      return server.stop()
    },
    ready,
    address: () => server.address(),
  }
}
