import type { Log } from '../lib/service/log.ts'
import { verifyPair, type PairRules, type ServingPair } from '../lib/tls/serving-pair.ts'
import type { Certificate } from '../lib/tls/pem.ts'
import type { CertificateMetrics } from './metrics.ts'

/** Where a TLS server gets its certificate, whatever keeps it. */
export interface CertificateSource {
  /** Begins to look and looks again until `stop`; a failure is logged and tried again. */
  start(): void
  /** Ends the looking; resolves when nothing of it runs any more. */
  stop(): Promise<void>
  /**
   * `listener` gets the present pair, if there is one, before this returns, and each later one. Only pairs that were
   * verified are handed out.
   */
  subscribe(listener: (pair: ServingPair) => void): void
  /** True while clients can be expected to accept what is served; else in a few words why not. */
  ready(): true | string
}

export interface PairHolder {
  /** Verifies the pair, keeps it and tells the listeners, or says why it is refused; the old pair stays then. */
  offer(pair: ServingPair, rules: PairRules): { taken: true; leaf: Certificate } | { taken: false; problem: string }
  subscribe(listener: (pair: ServingPair) => void): void
  /** The certificate that is served; undefined before the first. */
  readonly leaf: Certificate | undefined
}

/** Keeps the one pair that is served. */
export function createPairHolder({ metrics, log }: { metrics: CertificateMetrics; log: Log }): PairHolder {
  const listeners: ((pair: ServingPair) => void)[] = []
  let held: { pair: ServingPair; leaf: Certificate } | undefined

  return {
    offer: (pair, rules) => {
      const verdict = verifyPair(pair, rules)
      metrics.offered(verdict.good)
      if (!verdict.good) return { taken: false, problem: verdict.problem }
      const { leaf } = verdict
      held = { pair, leaf }
      metrics.notAfter('leaf', leaf)
      const { fingerprint, notAfterMs } = leaf
      log.info({ fingerprint, notAfter: new Date(notAfterMs).toISOString() }, 'a new certificate is served')
      for (const listener of listeners) listener(pair)
      return { taken: true, leaf }
    },
    subscribe: listener => {
      listeners.push(listener)
      if (held !== undefined) listener(held.pair)
    },
    get leaf() {
      return held?.leaf
    },
  }
}

/** True while `nowMs` is within the leaf's life. */
export function leafReadiness(leaf: Certificate | undefined, nowMs: number): true | string {
  if (leaf === undefined) return 'no certificate yet'
  if (nowMs >= leaf.notAfterMs) return 'the certificate has expired'
  return nowMs < leaf.notBeforeMs ? 'the certificate is not valid yet' : true
}
