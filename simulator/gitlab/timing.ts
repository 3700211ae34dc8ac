import type { Clock, Random } from '../../lib/service/clock.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** How long GitLab's own periods are. The defaults are GitLab's; a scaled demonstration may shorten all of them. */
export interface GitLabTiming {
  /** A runner or manager is online while its last contact is younger. */
  onlineTimeoutMs: number
  /** A runner or manager is stale when neither its creation nor its last contact is younger. */
  staleMs: number
  /** Life of a runner's queue value in Redis; without one the next poll goes through to Rails. */
  queueKeyTtlMs: number
  /**
   * How long Workhorse keeps an idle poll. 0: Workhorse does not intercept polls. Below 1 ms (the value that the
   * binary's own default of 50 nanoseconds amounts to): it intercepts and answers at once.
   */
  longPollMs: number
  /** The contact column of the database is written at most once per period drawn between these two. */
  contactColumnMs: readonly [minMs: number, maxMs: number]
  /** A pending job that no online, active runner matches fails at the first housekeeping after this queue time. */
  stuckAfterMs: number
  /** The same for a pending job that has a matching runner. */
  stuckWithRunnersAfterMs: number
  /** A running job without any update for this long fails at the next housekeeping: its manager is dead. */
  outdatedJobAfterMs: number
  /** Period of the housekeeping that fails stuck jobs and deletes stale managers. */
  housekeepingEveryMs: number
}

/** Sources: `app/models/ci/runner.rb`, the stuck builds workers, `apiCiLongPollingDuration` as GitLab.com sets it. */
export const GITLAB_TIMING: GitLabTiming = {
  onlineTimeoutMs: 2 * HOUR_MS,
  staleMs: 7 * DAY_MS,
  queueKeyTtlMs: HOUR_MS,
  longPollMs: 50_000,
  contactColumnMs: [40 * MINUTE_MS, 55 * MINUTE_MS],
  stuckAfterMs: HOUR_MS,
  stuckWithRunnersAfterMs: DAY_MS,
  outdatedJobAfterMs: HOUR_MS,
  housekeepingEveryMs: HOUR_MS,
}

/** Redis forgets a cached contact after this; the database column is read then. */
export const CONTACT_CACHE_TTL_MS = DAY_MS

/**
 * GitLab's own clock. It runs on the injected clock's monotonic side, so that a jump of the client's wall clock does
 * not move the server. `skewMs` shifts what GitLab says of the time (the `Date` header and every timestamp).
 */
export interface ServerTime {
  skewMs: number
  /** Milliseconds since 1970 before the skew; what records are stamped with. */
  nowMs(): number
}

export function createServerTime(clock: Clock): ServerTime {
  const originMs = clock.wallMs() - clock.monotonicMs()
  return { skewMs: 0, nowMs: () => Math.floor(originMs + clock.monotonicMs()) }
}

/** Hexadecimal digits that begin with a number of their own, so that a poor random source cannot make two alike. */
export function uniqueHex(random: Random, own: number, length: number): string {
  let digits = own.toString(16).padStart(4, '0')
  while (digits.length < length) digits += Math.floor(random() * 16).toString(16)
  return digits
}
