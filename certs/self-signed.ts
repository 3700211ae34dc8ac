import { withDeadline, type Clock, type Random } from '../lib/service/clock.ts'
import type { Log } from '../lib/service/log.ts'
import { certificatesIn } from '../lib/tls/pem.ts'
import { authorityOf, decodeAuthorities, encodeAuthorities, type Authority } from './authorities.ts'
import { BACKDATE_MS, buildAuthority, buildLeaf } from './build.ts'
import { generateRsaKey, randomSerial, type GenerateKey } from './keys.ts'
import type { CertificateMetrics } from './metrics.ts'
import {
  plan,
  shownAuthorities,
  type Leaf,
  type PublishedBundle,
  type RotationAction,
  type StoreReason,
} from './plan.ts'
import { createPairHolder, leafReadiness, type CertificateSource } from './source.ts'
import type { CaBundlePublisher, SecretSnapshot, SecretStore, WriteOutcome } from './stores.ts'

const DAY_MS = 24 * 3_600_000

export interface SelfSignedTiming {
  authorityLifeMs: number
  leafLifeMs: number
  /** How long a caBundle must have been there before all API servers are taken to use it. */
  settleMs: number
  /** Between two looks at what is shared; also how late a jump of the machine's clock is noticed. */
  lookMs: number
}

export const SELF_SIGNED_TIMING: SelfSignedTiming = {
  authorityLifeMs: 365 * DAY_MS,
  leafLifeMs: 7 * DAY_MS,
  settleMs: 5 * 60_000,
  lookMs: 30_000,
}

export interface SelfSignedDeps {
  secrets: SecretStore
  bundles: CaBundlePublisher
  /** DNS names that the leaf covers. */
  names: readonly string[]
  metrics: CertificateMetrics
  clock: Clock
  random: Random
  log: Log
  timing?: SelfSignedTiming
  generateKey?: GenerateKey
}

/** Reading and writing all that a look may need, key generation included. */
const LOOK_DEADLINE_MS = 20_000
/** A look ends when nothing is left to do; more rounds mean that somebody keeps undoing our work. */
const MAX_ROUNDS = 6
const FIRST_RETRY_MS = 1_000
const CONFLICT_PAUSE_MS = 200

/**
 * Certificates of our own making: the authority in a Secret that all replicas share, a leaf per replica that never leaves
 * its memory, and the caBundles kept as the rotation needs them. `plan` decides; this reads, carries out and repeats.
 */
export function createSelfSignedSource(deps: SelfSignedDeps): CertificateSource {
  const { secrets, bundles, names, metrics, clock, random, log } = deps
  const timing = deps.timing ?? SELF_SIGNED_TIMING
  const generateKey = deps.generateKey ?? generateRsaKey
  const holder = createPairHolder({ metrics, log })
  const stopping = new AbortController()
  /** Since when, by the monotonic clock, each authority has been in every caBundle. */
  const shownSinceMs = new Map<string, number>()
  let leaf: Leaf | undefined
  let lastFlaws = ''
  let running: Promise<void> = Promise.resolve()

  async function run(): Promise<void> {
    let failures = 0
    for (;;) {
      try {
        await withDeadline(clock, LOOK_DEADLINE_MS, look, stopping.signal)
        failures = 0
      } catch (error) {
        if (stopping.signal.aborted) return
        failures++
        log.warn({ err: error, failures }, 'the certificates could not be looked after; trying again')
      }
      const pauseMs = ready() === true && failures === 0 ? timing.lookMs : backoffMs(failures)
      await clock.sleep(pauseMs * (0.75 + random() / 2), stopping.signal)
    }
  }

  function backoffMs(failures: number): number {
    return Math.min(FIRST_RETRY_MS * 2 ** Math.min(failures, 10), timing.lookMs)
  }

  async function look(signal: AbortSignal): Promise<void> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const outcomes = await lookOnce(signal)
      if (outcomes.length === 0) return
      if (outcomes.includes('conflict')) await clock.sleep(CONFLICT_PAUSE_MS * (0.5 + random()), signal)
    }
    log.warn({ rounds: MAX_ROUNDS }, 'the Secret or the caBundle changes all the time; another writer is at work')
  }

  /** One round; answers with what became of its writes, so that the caller looks again after any. */
  async function lookOnce(signal: AbortSignal): Promise<WriteOutcome[]> {
    // In this order, so that a bundle computed from an older Secret cannot replace that of a newer one: whoever
    // published that has changed the version which our write must name.
    const configuration = await bundles.read(signal)
    const secret = await secrets.get(signal)
    if (configuration === undefined) throw new Error('the webhook configuration does not exist; apply the manifests')
    if (secret === undefined) throw new Error('the Secret for the authorities does not exist; apply the manifests')

    const published = configuration.bundles.map(text => ({ text, certificates: certificatesIn(text) }))
    noteShown(published)
    const { authorities, flaws } = decodeAuthorities(secret.data)
    noteFlaws(flaws)
    metrics.notAfter('signing', authorities.signing)
    metrics.notAfter('next', authorities.next)

    const nowMs = clock.monotonicMs()
    const shownForMs = new Map([...shownSinceMs].map(([fingerprint, sinceMs]) => [fingerprint, nowMs - sinceMs]))
    const actions = plan({ authorities, published, shownForMs, leaf }, clock.wallMs(), timing)
    const outcomes: WriteOutcome[] = []
    const failures: Error[] = []
    for (const action of actions) {
      try {
        const outcome = await carryOut(action, secret, configuration.resourceVersion, signal)
        if (outcome !== undefined) outcomes.push(outcome)
        // What follows was planned for the Secret as it was.
        if (action.do === 'store') break
      } catch (error) {
        // A Secret that we may not write must not keep this replica from renewing its leaf.
        failures.push(error instanceof Error ? error : new Error(String(error)))
      }
    }
    const [failure] = failures
    if (failure !== undefined) throw failure
    return outcomes
  }

  async function carryOut(
    action: RotationAction,
    secret: SecretSnapshot,
    configurationVersion: string,
    signal: AbortSignal,
  ): Promise<WriteOutcome | undefined> {
    switch (action.do) {
      case 'store': {
        const { signing, next } = action.content
        const content = {
          ...action.content,
          signing: signing === 'new' ? await createAuthority() : signing,
          next: next === 'new' ? await createAuthority() : next,
        }
        const outcome = await secrets.replace(encodeAuthorities(content), secret.resourceVersion, signal)
        noteWrite(action.why, outcome)
        return outcome
      }
      case 'publish': {
        const outcome = await bundles.publish(action.bundle, configurationVersion, signal)
        noteWrite('publish', outcome)
        return outcome
      }
      case 'issue':
        await issueLeaf(action.issuer)
        return undefined
    }
  }

  async function createAuthority(): Promise<Authority> {
    const key = await generateKey()
    const nowMs = clock.wallMs()
    const validity = { notBeforeMs: nowMs - BACKDATE_MS, notAfterMs: nowMs + timing.authorityLifeMs }
    const authority = authorityOf(buildAuthority({ key, serial: randomSerial(), ...validity }), key)
    if (typeof authority === 'string') throw new Error(`a new authority does not verify: ${authority}`)
    return authority
  }

  async function issueLeaf(issuer: Authority): Promise<void> {
    const key = await generateKey()
    const nowMs = clock.wallMs()
    const notBeforeMs = Math.max(nowMs - BACKDATE_MS, issuer.notBeforeMs)
    const notAfterMs = Math.min(nowMs + timing.leafLifeMs, issuer.notAfterMs)
    const request = { key, serial: randomSerial(), names, issuer: { certificate: issuer.pem, key: issuer.key } }
    const certificate = buildLeaf({ ...request, notBeforeMs, notAfterMs })
    const offer = holder.offer({ certificate, key }, { nowMs, names, authorities: [issuer.pem] })
    if (!offer.taken) throw new Error(`a new certificate does not verify: ${offer.problem}`)
    const renewAtMs = nowMs + (notAfterMs - nowMs) * (2 / 3 - random() / 10)
    leaf = { issuer: issuer.fingerprint, ...offer.leaf, renewAtMs }
    metrics.trusted(shownSinceMs.has(leaf.issuer))
  }

  function noteShown(published: readonly PublishedBundle[]): void {
    const shown = shownAuthorities(published)
    for (const fingerprint of shownSinceMs.keys()) if (!shown.includes(fingerprint)) shownSinceMs.delete(fingerprint)
    for (const fingerprint of shown)
      if (!shownSinceMs.has(fingerprint)) shownSinceMs.set(fingerprint, clock.monotonicMs())
    if (leaf !== undefined) metrics.trusted(shownSinceMs.has(leaf.issuer))
  }

  function noteFlaws(flaws: readonly string[]): void {
    const text = flaws.join('; ')
    if (text !== '' && text !== lastFlaws) log.error({ flaws }, 'the Secret of the authorities is broken; mending it')
    lastFlaws = text
  }

  function noteWrite(step: StoreReason | 'publish', outcome: WriteOutcome): void {
    metrics.step(outcome === 'conflict' ? 'conflict' : step)
    if (outcome === 'written') log.info({ step }, 'a step of the authority rotation is done')
    else log.info({ step }, 'another replica was faster; looking again')
  }

  function ready(): true | string {
    const verdict = leafReadiness(holder.leaf, clock.wallMs())
    if (verdict !== true) return verdict
    return leaf !== undefined && shownSinceMs.has(leaf.issuer)
      ? true
      : 'the caBundle does not trust the certificate yet'
  }

  return {
    start: () => {
      running = run().catch(() => undefined)
    },
    stop: async () => {
      stopping.abort(new Error('the certificates are looked after no more'))
      await running
    },
    subscribe: listener => holder.subscribe(listener),
    ready,
  }
}
