/**
 * Time as the programs see it. Everything that waits or measures takes a Clock, so that tests and simulations can put a
 * virtual one there; no other module asks the machine for the time.
 */
export interface Clock {
  /** Milliseconds from an arbitrary zero; never goes back, does not jump when somebody sets the machine's clock. */
  monotonicMs(): number
  /** Milliseconds since 1970 by the machine's clock; may jump. */
  wallMs(): number
  /** Resolves after `ms`, never sooner by `monotonicMs`; rejects with the signal's reason when that aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Calls `callback` once after `ms`; the returned function cancels it. Does not keep the process alive. */
  after(ms: number, callback: () => void): () => void
}

/** A source of numbers in [0, 1), for jitter. */
export type Random = () => number

/** Node takes what is longer for 1 ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(abortReason(signal))
        return
      }
      const onAbort = () => {
        clearTimeout(timer)
        reject(abortReason(signal))
      }
      const endMs = performance.now() + ms
      const onTimer = () => {
        // Node's timers know whole milliseconds only, and fire up to two of them too soon.
        const leftMs = endMs - performance.now()
        if (leftMs > 0) {
          timer = setTimeout(onTimer, Math.min(leftMs, LONGEST_TIMER_MS))
          return
        }
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }
      let timer = setTimeout(onTimer, Math.min(ms, LONGEST_TIMER_MS))
      signal?.addEventListener('abort', onAbort, { once: true })
    }),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms).unref()
    return () => clearTimeout(timer)
  },
}

function abortReason(signal: AbortSignal | undefined): Error {
  return signal?.reason instanceof Error ? signal.reason : new Error('aborted')
}

/** A call did not answer within its deadline. */
export class DeadlineError extends Error {
  constructor(readonly deadlineMs: number) {
    super(`no answer within ${deadlineMs} ms`)
    this.name = 'DeadlineError'
  }
}

/**
 * Runs `work` with a signal that aborts after `ms` (reason: DeadlineError) or when `parent` aborts, whichever is first.
 * Leaves no timer and no listener behind.
 */
export async function withDeadline<T>(
  clock: Clock,
  ms: number,
  work: (signal: AbortSignal) => Promise<T>,
  parent?: AbortSignal,
): Promise<T> {
  const controller = new AbortController()
  const onParentAbort = () => controller.abort(abortReason(parent))
  if (parent?.aborted) onParentAbort()
  parent?.addEventListener('abort', onParentAbort, { once: true })
  const cancel = clock.after(ms, () => controller.abort(new DeadlineError(ms)))
  try {
    return await work(controller.signal)
  } finally {
    cancel()
    parent?.removeEventListener('abort', onParentAbort)
  }
}
