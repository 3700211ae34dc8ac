import type { Clock, Random } from '../service/clock.ts'
import type { Log } from '../service/log.ts'
import type { KubernetesClient } from './client.ts'
import { KubernetesError } from './errors.ts'
import { microTime } from './micro-time.ts'
import type { Lease, LeaseSpec } from './types.ts'

export interface ElectionTiming {
  /** Others wait this long without seeing a change before they take the lease. */
  leaseMs: number
  /** A leader that could not renew for this long stops leading; shorter than `leaseMs`, so that it stops before. */
  renewDeadlineMs: number
  /** Between two looks at the lease. */
  retryMs: number
}

/** As client-go has them. */
export const ELECTION_TIMING: ElectionTiming = { leaseMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2000 }

export interface ElectorOptions {
  leases: Pick<KubernetesClient, 'lease' | 'createLease' | 'replaceLease'>
  namespace: string
  name: string
  /** Of this process alone, not only of its pod: a process that starts again under its name must not inherit the lease. */
  identity: string
  clock: Clock
  random: Random
  log: Log
  timing?: ElectionTiming
  /**
   * Called each time the lease is won. `lost` aborts when leading ends, for whatever reason, and always before another
   * candidate that keeps the same timing can win: work that only one may do ends with it.
   */
  onLeading: (lost: AbortSignal) => void
}

export interface Elector {
  readonly leading: boolean
  /** Who held the lease when it was last seen; undefined before that, empty when released. */
  readonly holder: string | undefined
  /** Stops leading at once, then gives the lease up if it can within one call's deadline. Safe to call twice. */
  stop(): Promise<void>
}

/** What was seen of the lease, and when by the local monotonic clock: times in the lease are never compared with a clock. */
interface Sighting {
  lease: Lease
  atMs: number
}

interface Term {
  lost: AbortController
  /** Leading ends then unless a renewal succeeds. */
  untilMs: number
  cancelDeadline: () => void
}

/**
 * Campaigns for a Lease from now on until stopped. It fences nothing: a process that is stopped for long in the middle of a
 * write may still finish it later.
 */
export function startElector(options: ElectorOptions): Elector {
  const { leases, namespace, name, identity, clock, random, log, timing = ELECTION_TIMING } = options
  if (timing.renewDeadlineMs >= timing.leaseMs || timing.retryMs * 1.2 >= timing.renewDeadlineMs) {
    throw new Error('an election needs retryMs × 1.2 < renewDeadlineMs < leaseMs')
  }
  const stopping = new AbortController()
  let seen: Sighting | undefined
  let term: Term | undefined
  let stopped: Promise<void> | undefined

  const isStopping = () => stopping.signal.aborted
  const isLeading = () => term !== undefined && clock.monotonicMs() < term.untilMs

  function lose(why: string): void {
    if (!term) return
    const { lost, cancelDeadline } = term
    term = undefined
    cancelDeadline()
    log.warn({ lease: name, why }, 'stopped leading')
    lost.abort(new Error(`no longer the leader: ${why}`))
  }

  /** `sentMs`: when the write left. The server can only have stored it later, so this errs on the safe side. */
  function hold(lease: Lease, sentMs: number): void {
    see(lease)
    const untilMs = sentMs + timing.renewDeadlineMs
    if (untilMs <= clock.monotonicMs()) {
      lose('the renewal came too late')
      return
    }
    const cancelDeadline = clock.after(untilMs - clock.monotonicMs(), () =>
      lose('the lease could not be renewed in time'),
    )
    if (term) {
      term.cancelDeadline()
      term.untilMs = untilMs
      term.cancelDeadline = cancelDeadline
      return
    }
    const lost = new AbortController()
    term = { lost, untilMs, cancelDeadline }
    log.info({ lease: name, identity }, 'leading from now on')
    options.onLeading(lost.signal)
  }

  function see(lease: Lease): void {
    const same = seen !== undefined && versionOf(seen.lease) === versionOf(lease)
    if (!same) seen = { lease, atMs: clock.monotonicMs() }
  }

  async function read(): Promise<Lease | undefined> {
    try {
      const lease = await leases.lease(namespace, name, stopping.signal)
      see(lease)
      return lease
    } catch (error) {
      if (!isKind(error, 'not_found')) throw error
      seen = undefined
      return undefined
    }
  }

  /** Resolves whatever comes of it; throws only when the server gave no useful answer. */
  async function step(): Promise<void> {
    if (term && !isLeading()) lose('the process was held up for too long')
    if (term && seen) return renew(seen.lease)
    const lease = await read()
    if (!lease) return create()
    const { holderIdentity = '', leaseDurationSeconds } = lease.spec ?? {}
    if (holderIdentity === '') return take(lease)
    const patienceMs = Math.max(timing.leaseMs, (leaseDurationSeconds ?? 0) * 1000)
    if (seen && clock.monotonicMs() - seen.atMs >= patienceMs) await take(lease)
  }

  async function create(): Promise<void> {
    await write(() => leases.createLease(leaseWith(undefined, newTerm(undefined)), stopping.signal))
  }

  async function take(lease: Lease): Promise<void> {
    await write(() => leases.replaceLease(leaseWith(lease, newTerm(lease.spec)), stopping.signal))
  }

  async function renew(lease: Lease): Promise<void> {
    const renewed = (from: Lease) => leaseWith(from, { ...from.spec, renewTime: microTime(clock.wallMs()) })
    if (await write(() => leases.replaceLease(renewed(lease), stopping.signal))) return
    // Somebody wrote, perhaps we ourselves with an answer that got lost.
    const current = await read()
    if (current?.spec?.holderIdentity !== identity) {
      lose(`the lease is held by ${current?.spec?.holderIdentity ?? 'nobody'}`)
      return
    }
    await write(() => leases.replaceLease(renewed(current), stopping.signal))
  }

  /** False when the race for this write was lost. */
  async function write(send: () => Promise<Lease>): Promise<boolean> {
    const sentMs = clock.monotonicMs()
    try {
      const lease = await send()
      if (!isStopping()) hold(lease, sentMs)
      return true
    } catch (error) {
      if (isKind(error, 'conflict') || isKind(error, 'already_exists')) return false
      throw error
    }
  }

  function newTerm(old: LeaseSpec | undefined): LeaseSpec {
    const now = microTime(clock.wallMs())
    return {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(timing.leaseMs / 1000),
      acquireTime: now,
      renewTime: now,
      leaseTransitions: old === undefined ? 0 : (old.leaseTransitions ?? 0) + 1,
    }
  }

  function leaseWith(lease: Lease | undefined, spec: LeaseSpec): Lease {
    const metadata = lease?.metadata ?? { name, namespace }
    return { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec }
  }

  async function campaign(): Promise<void> {
    while (!isStopping()) {
      try {
        await step()
      } catch (error) {
        if (!isStopping()) log.warn({ err: error, lease: name }, 'the lease could not be read or written')
      }
      try {
        await clock.sleep(timing.retryMs * (1 + 0.2 * random()), stopping.signal)
      } catch {
        return
      }
    }
  }

  async function release(): Promise<void> {
    const held = term && seen
    lose('this process stops')
    stopping.abort(new Error('the elector stops'))
    await campaigning
    const latest = seen?.lease
    if (!held || latest?.spec?.holderIdentity !== identity) return
    try {
      await leases.replaceLease(leaseWith(latest, { ...latest.spec, holderIdentity: '' }))
    } catch (error) {
      log.warn({ err: error, lease: name }, 'the lease could not be released, it runs out by itself')
    }
  }

  const campaigning = campaign()
  return {
    get leading() {
      // Where a busy process runs the deadline's timer late, whoever asks first ends the term.
      if (term && !isLeading()) lose('the lease could not be renewed in time')
      return term !== undefined
    },
    get holder() {
      return seen && (seen.lease.spec?.holderIdentity ?? '')
    },
    stop: () => (stopped ??= release()),
  }
}

function versionOf(lease: Lease): string | undefined {
  return lease.metadata.resourceVersion
}

function isKind(error: unknown, kind: KubernetesError['kind']): boolean {
  return error instanceof KubernetesError && error.kind === kind
}
