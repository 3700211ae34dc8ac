import type { Clock } from '../../lib/service/clock.ts'

interface Timer {
  atMs: number
  order: number
  fire: () => void
}

/** A clock that stands still until a test moves it; `wallMs` may be moved alone, to play a clock that jumps. */
export interface ManualClock extends Clock {
  /** Moves on by `ms`, firing what is due in order; between two timers everything that was woken runs. */
  advance(ms: number): Promise<void>
  /** Somebody sets the machine's clock. */
  jumpWall(ms: number): void
  /** Timers that wait. */
  readonly pending: number
}

export function createManualClock(startMs = Date.UTC(2026, 0, 1)): ManualClock {
  const timers = new Set<Timer>()
  let nowMs = 0
  let wallOffsetMs = startMs
  let order = 0

  const after = (ms: number, fire: () => void) => {
    const timer = { atMs: nowMs + Math.max(0, ms), order: order++, fire }
    timers.add(timer)
    return () => timers.delete(timer)
  }
  const nextDue = (untilMs: number) =>
    [...timers].filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs || a.order - b.order)[0]

  return {
    monotonicMs: () => nowMs,
    wallMs: () => wallOffsetMs + nowMs,
    after: (ms, callback) => {
      const cancel = after(ms, callback)
      return () => {
        cancel()
      }
    },
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const abort = () => {
          cancel()
          reject(signal?.reason as Error)
        }
        const cancel = after(ms, () => {
          signal?.removeEventListener('abort', abort)
          resolve()
        })
        if (signal?.aborted) abort()
        else signal?.addEventListener('abort', abort, { once: true })
      }),
    advance: async ms => {
      const untilMs = nowMs + ms
      await settle()
      for (let timer = nextDue(untilMs); timer; timer = nextDue(untilMs)) {
        timers.delete(timer)
        nowMs = Math.max(nowMs, timer.atMs)
        timer.fire()
        await settle()
      }
      nowMs = untilMs
      await settle()
    },
    jumpWall: ms => {
      wallOffsetMs += ms
    },
    get pending() {
      return timers.size
    },
  }
}

/** Lets promises and loopback sockets make their steps. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise(resolve => setImmediate(resolve))
}
