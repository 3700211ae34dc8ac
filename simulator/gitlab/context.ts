import type { Clock, Random } from '../../lib/service/clock.ts'
import type { JobDesk } from './jobs.ts'
import type { Limits } from './limits.ts'
import type { Observation } from './observation.ts'
import type { SigningKey } from './openid.ts'
import type { RunnerQueue } from './queue.ts'
import type { RunnerDesk } from './runners.ts'
import type { Store } from './store.ts'
import type { GitLabTiming, ServerTime } from './timing.ts'

/** What an administrator of the instance can switch. */
export interface Settings {
  /** False answers 404 at `/api/graphql`. */
  graphql: boolean
  /** Registration tokens: refused with 410 since GitLab 17.0 unless an administrator allows them. */
  allowRegistration: boolean
  /** False: a generic package's file can be uploaded once only. */
  duplicatePackages: boolean
}

/** The parts of one simulated GitLab, as its routes use them. */
export interface Context {
  readonly clock: Clock
  readonly random: Random
  readonly time: ServerTime
  readonly timing: GitLabTiming
  readonly settings: Settings
  readonly store: Store
  readonly observation: Observation
  readonly queue: RunnerQueue
  readonly limits: Limits
  readonly runners: RunnerDesk
  readonly jobs: JobDesk
  /** Signs the id_tokens of jobs. */
  readonly signingKey: SigningKey
  /** Path in front of `/api`, for an instance under a relative URL; empty otherwise. */
  readonly relativeRoot: string
  /** Origin and relative root, as `web_url`s and page links show it. */
  externalUrl: string
}

/** A time as GitLab's REST API writes it; `null` stays `null`. */
export function isoTime(time: ServerTime, atMs: number | null): string | null {
  return atMs === null ? null : new Date(atMs + time.skewMs).toISOString()
}
