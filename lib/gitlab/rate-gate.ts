import type { Clock, Random } from '../service/clock.ts'

type Headers = Readonly<Record<string, string>>

/** GitLab's application limiter says 429 without telling how long; its shortest limits count per minute. */
const UNTOLD_WAIT_MS = 60_000
const MIN_WAIT_MS = 1_000
/** A longer wait is a broken clock or a broken proxy rather than a limit. */
const MAX_WAIT_MS = 24 * 3_600_000
/** A number below this cannot be an epoch: some gateways send seconds from now, as the IETF draft has it. */
const SMALLEST_EPOCH_SECONDS = 1_000_000_000

/** Remembers until when GitLab does not want to hear from us. Once closed it only closes for longer, never for less. */
export interface RateGate {
  /** Milliseconds until the next request may be sent; 0 when it may be sent now. */
  waitMs(): number
  /** Takes an answer's limit headers in; returns how long to wait when this answer closed the gate. */
  observe(status: number, headers: Headers): number | undefined
}

/**
 * Obeys `Retry-After` and `RateLimit-Reset`/`-ResetTime` of a 429, and `RateLimit-Remaining: 0` of any answer. Waits are
 * measured on the monotonic clock; GitLab's points in time count from the `Date` of the same answer, so that a wrong
 * local clock shortens no wait. Jitter only ever adds: many deciders must not come back at the same instant.
 */
export function createRateGate({ clock, random }: { clock: Clock; random: Random }): RateGate {
  let openMs = -Infinity

  function waitOf(status: number, headers: Headers): number | undefined {
    const told = toldWaitMs(headers, clock)
    if (status === 429) return told === undefined ? UNTOLD_WAIT_MS * (1 + random() / 2) : told + random() * 1_000
    const exhausted = headers['ratelimit-remaining']?.trim() === '0'
    return exhausted && told !== undefined ? told + random() * 1_000 : undefined
  }

  return {
    waitMs: () => Math.max(0, openMs - clock.monotonicMs()),
    observe(status, headers) {
      const waitMs = waitOf(status, headers)
      if (waitMs !== undefined) openMs = Math.max(openMs, clock.monotonicMs() + waitMs)
      return waitMs
    },
  }
}

function toldWaitMs(headers: Headers, clock: Clock): number | undefined {
  const serverMs = dateMs(headers['date']) ?? clock.wallMs()
  const waits = [
    secondsMs(headers['retry-after']) ?? untilMs(dateMs(headers['retry-after']), serverMs),
    resetMs(headers['ratelimit-reset'], serverMs),
    untilMs(dateMs(headers['ratelimit-resettime']), serverMs),
  ].filter(wait => wait !== undefined)
  return waits.length === 0 ? undefined : Math.min(MAX_WAIT_MS, Math.max(MIN_WAIT_MS, ...waits))
}

function resetMs(value: string | undefined, serverMs: number): number | undefined {
  const ms = secondsMs(value)
  if (ms === undefined) return undefined
  return ms < SMALLEST_EPOCH_SECONDS * 1_000 ? ms : ms - serverMs
}

function secondsMs(value: string | undefined): number | undefined {
  return value !== undefined && /^\s*\d{1,12}\s*$/.test(value) ? Number(value) * 1_000 : undefined
}

function untilMs(pointMs: number | undefined, serverMs: number): number | undefined {
  return pointMs === undefined ? undefined : pointMs - serverMs
}

/** Milliseconds since 1970 of an HTTP date. A bare number is none, although `Date.parse` would make a year of it. */
export function dateMs(value: string | undefined): number | undefined {
  if (value === undefined || !/[a-z]/i.test(value)) return undefined
  const ms = Date.parse(value)
  return Number.isNaN(ms) ? undefined : ms
}
