import { setImmediate as turn } from 'node:timers/promises'
import { percentile } from '../../statistics.ts'

/** Whatever is asked again and again; resolves with the HTTP status. */
export interface Worker {
  exchange(): Promise<{ status: number }>
}

export interface Latencies {
  p50: number
  p90: number
  p99: number
  p999: number
  max: number
}

export interface DriveResult {
  exchanges: number
  seconds: number
  /** Milliseconds. */
  latencies: Latencies
}

/** High-resolution time in milliseconds; injected, so that the arithmetic can be tested. */
export type Now = () => number

/** Every worker asks again as soon as it was answered, until `ms` have passed or `limit` exchanges were made. */
export async function closedLoop(
  workers: readonly Worker[],
  { ms, limit = Infinity }: { ms: number; limit?: number },
  now: Now,
): Promise<DriveResult> {
  const taken: number[] = []
  const startMs = now()
  let begun = 0
  await Promise.all(
    workers.map(async worker => {
      for (let sentMs = now(); sentMs - startMs < ms && begun < limit;) {
        begun++
        mustBeOk(await worker.exchange())
        const nowMs = now()
        taken.push(nowMs - sentMs)
        sentMs = nowMs
      }
    }),
  )
  return resultOf(taken, now() - startMs)
}

/**
 * Sends at a fixed rate whatever the server does. A latency counts from the moment at which the request was due, not
 * from that at which a connection was free: else a server that stalls would stall its own measurement, and the requests
 * that it kept waiting would not be seen (coordinated omission).
 */
export async function fixedRate(
  workers: readonly Worker[],
  { ms, perSecond }: { ms: number; perSecond: number },
  now: Now,
  wait: () => Promise<unknown> = turn,
): Promise<DriveResult> {
  const intervalMs = 1000 / perSecond
  const total = Math.floor(ms / intervalMs)
  const free = [...workers]
  const taken: number[] = []
  const startMs = now()
  let failure: Error | undefined
  let sent = 0
  // Looks at the clock all the time: a timer is up to a millisecond late, which would look like the server's doing.
  while (taken.length < total && failure === undefined) {
    while (sent < total && now() >= startMs + sent * intervalMs) {
      const worker = free.pop()
      if (worker === undefined) break
      const dueMs = startMs + sent * intervalMs
      sent++
      worker.exchange().then(
        answer => {
          taken.push(now() - dueMs)
          free.push(worker)
          if (answer.status !== 200) failure = new Error(`an answer of ${answer.status}`)
        },
        (error: unknown) => (failure = new Error('an exchange failed', { cause: error })),
      )
    }
    await wait()
  }
  if (failure !== undefined) throw failure
  return resultOf(taken, now() - startMs)
}

function resultOf(taken: readonly number[], ms: number): DriveResult {
  const sorted = Float64Array.from(taken).sort()
  return {
    exchanges: taken.length,
    seconds: ms / 1000,
    latencies: {
      p50: percentile(sorted, 0.5),
      p90: percentile(sorted, 0.9),
      p99: percentile(sorted, 0.99),
      p999: percentile(sorted, 0.999),
      max: sorted.at(-1) ?? NaN,
    },
  }
}

function mustBeOk({ status }: { status: number }): void {
  if (status !== 200) throw new Error(`an answer of ${status}`)
}
