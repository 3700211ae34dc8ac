import { json, Refusal, text } from './answers.ts'
import type { ServerTime } from './timing.ts'

export interface Throttle {
  requests: number
  periodSeconds: number
}

/** On by default in GitLab, per minute. Sources: `lib/api/ci/runner.rb`, application rate limits. */
export const APPLICATION_LIMITS = {
  /** `POST /jobs/request`, per runner token: all managers of it share this. */
  runnerJobsRequest: 2000,
  /** Trace patches and the other calls of a running job, each per job token. */
  jobTrace: 200,
  jobUpdate: 200,
  /** `GET /projects/:id/jobs`, per user. */
  projectJobs: 600,
} as const

/**
 * GitLab's two kinds of limits. Rack::Attack stands before everything, counts in fixed windows per user and answers with
 * plain text and headers; the application's limiter stands inside a route and answers with JSON and no headers.
 */
export class Limits {
  /** `throttle_authenticated_api`: off in a self-managed GitLab until an administrator sets it. */
  throttle: Throttle | undefined
  readonly #time: ServerTime
  readonly #windows = new Map<string, { window: number; count: number }>()

  constructor(time: ServerTime) {
    this.#time = time
  }

  checkThrottle(caller: string): void {
    if (!this.throttle) return
    const { requests, periodSeconds } = this.throttle
    const observed = this.#countUp(`throttle ${caller}`, periodSeconds)
    if (observed > requests) throw new Refusal(this.throttled(observed))
  }

  /** Rack::Attack's answer, with the headers that tell when the window ends. */
  throttled(observed: number, retryAfterSeconds?: number): ReturnType<typeof text> {
    const { requests, periodSeconds } = this.throttle ?? { requests: 0, periodSeconds: 60 }
    const nowSeconds = Math.floor((this.#time.nowMs() + this.#time.skewMs) / 1000)
    const waitSeconds = retryAfterSeconds ?? periodSeconds - (nowSeconds % periodSeconds)
    const reset = nowSeconds + waitSeconds
    return text(429, 'Retry later\n', {
      'ratelimit-name': 'throttle_authenticated_api',
      'ratelimit-limit': String(Math.ceil((requests * 60) / periodSeconds)),
      'ratelimit-observed': String(observed),
      'ratelimit-remaining': '0',
      'ratelimit-reset': String(reset),
      'ratelimit-resettime': new Date(reset * 1000).toUTCString(),
      'retry-after': String(waitSeconds),
    })
  }

  checkApplication(limit: keyof typeof APPLICATION_LIMITS, caller: string): void {
    if (this.#countUp(`${limit} ${caller}`, 60) > APPLICATION_LIMITS[limit]) throw new Refusal(applicationLimited())
  }

  #countUp(key: string, periodSeconds: number): number {
    const window = Math.floor(this.#time.nowMs() / (periodSeconds * 1000))
    const counter = this.#windows.get(key)
    const count = counter?.window === window ? counter.count + 1 : 1
    this.#windows.set(key, { window, count })
    if (this.#windows.size > 50_000) this.#windows.clear()
    return count
  }
}

export function applicationLimited(): ReturnType<typeof json> {
  return json(429, {
    message: { error: 'This endpoint has been requested too many times. Try again later.' },
  })
}
