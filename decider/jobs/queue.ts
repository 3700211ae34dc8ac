import type { Clock } from '../../lib/service/clock.ts'

export interface QueueOptions {
  clock: Clock
  /** Waiting pieces of work; a new one beyond it drops the oldest. */
  capacity: number
  concurrency: number
  /** Told of work that threw although it must not. */
  onError: (key: string, error: unknown) => void
}

interface Waiting {
  /** For people. */
  key: string
  dueMs: number
  urgent: boolean
  work: () => Promise<void>
  /** Called in the place of `work`, which will not run. */
  dropped: (why: 'full' | 'stopped') => void
}

export interface Piece extends Pick<Waiting, 'key' | 'work'>, Partial<Pick<Waiting, 'urgent' | 'dropped'>> {
  /** Default 0. */
  delayMs?: number
}

export interface WorkQueue {
  /** Waiting, not running. */
  readonly size: number
  /** Runs `work` once `delayMs` have passed and a place is free; urgent work goes before the rest. */
  add(piece: Piece): void
  /** Starts nothing any more and resolves when what runs has ended. */
  stop(): Promise<void>
}

/** A bounded queue of work that waits for its time, with a bound on what runs at once. */
export function createWorkQueue({ clock, capacity, concurrency, onError }: QueueOptions): WorkQueue {
  const waiting: Waiting[] = []
  const running = new Set<Promise<void>>()
  let cancelTimer: () => void = () => undefined
  let stopped = false

  function next(): Waiting | undefined {
    const nowMs = clock.monotonicMs()
    const due = waiting.filter(({ dueMs }) => dueMs <= nowMs)
    return due.find(({ urgent }) => urgent) ?? due.reduce<Waiting | undefined>(earlier, undefined)
  }

  function pump(): void {
    cancelTimer()
    while (!stopped && running.size < concurrency) {
      const piece = next()
      if (!piece) break
      waiting.splice(waiting.indexOf(piece), 1)
      start(piece)
    }
    if (stopped || running.size >= concurrency || waiting.length === 0) return
    const soonestMs = Math.min(...waiting.map(({ dueMs }) => dueMs))
    cancelTimer = clock.after(Math.max(0, soonestMs - clock.monotonicMs()), pump)
  }

  function start({ key, work }: Waiting): void {
    const run = work()
      .catch((error: unknown) => onError(key, error))
      .then(() => {
        running.delete(run)
        pump()
      })
    running.add(run)
  }

  return {
    get size() {
      return waiting.length
    },
    add({ key, delayMs = 0, urgent = false, work, dropped = () => undefined }) {
      if (stopped) {
        dropped('stopped')
        return
      }
      waiting.push({ key, dueMs: clock.monotonicMs() + delayMs, urgent, work, dropped })
      if (waiting.length > capacity) {
        waiting.shift()?.dropped('full')
      }
      pump()
    },
    async stop() {
      stopped = true
      cancelTimer()
      for (const { dropped } of waiting.splice(0)) dropped('stopped')
      await Promise.all(running)
    },
  }
}

function earlier(best: Waiting | undefined, piece: Waiting): Waiting {
  return best === undefined || piece.dueMs < best.dueMs ? piece : best
}
