import type { Clock } from '../../lib/service/clock.ts'

/** The true time of a simulated world: every wait of every part of it. Its monotonic zero is the world's beginning. */
export interface VirtualTime extends Clock {
  /** Moves on to `atMs`, firing what is due in order; between two timers everything that was woken runs to its end. */
  runTo(atMs: number): Promise<void>
}

interface Timer {
  atMs: number
  order: number
  fire: (() => void) | undefined
}

/** After so many timers the real event loop gets a turn, so that a long run still reports and can be interrupted. */
const TIMERS_PER_TURN = 5_000

export function createVirtualTime(startMs = Date.UTC(2026, 0, 1)): VirtualTime {
  const heap: Timer[] = []
  let nowMs = 0
  let order = 0
  let fired = 0

  const after = (ms: number, callback: () => void) => {
    const timer: Timer = { atMs: nowMs + Math.max(0, ms), order: order++, fire: callback }
    push(heap, timer)
    return () => {
      timer.fire = undefined
    }
  }

  return {
    monotonicMs: () => nowMs,
    wallMs: () => startMs + nowMs,
    after,
    sleep: (ms, signal) => sleepOn(after, ms, signal),
    async runTo(atMs) {
      await settle()
      for (let next = heap[0]; next && next.atMs <= atMs; next = heap[0]) {
        pop(heap)
        if (!next.fire) continue
        nowMs = Math.max(nowMs, next.atMs)
        next.fire()
        await settle()
        if (++fired % TIMERS_PER_TURN === 0) await new Promise(resolve => setImmediate(resolve))
      }
      nowMs = Math.max(nowMs, atMs)
      await settle()
    },
  }
}

/** `Clock.sleep` on top of `Clock.after`. */
export function sleepOn(after: Clock['after'], ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error)
      return
    }
    const onAbort = () => {
      cancel()
      reject(signal?.reason as Error)
    }
    const cancel = after(ms, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

/** Ticks run when no microtask is left: everything that a timer woke has made all its steps by then. */
function settle(): Promise<void> {
  return new Promise(resolve => process.nextTick(resolve))
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.atMs === b.atMs ? a.order < b.order : a.atMs < b.atMs
}

function push(heap: Timer[], timer: Timer): void {
  let index = heap.length
  heap.push(timer)
  while (index > 0) {
    const above = (index - 1) >> 1
    const parent = heap[above]
    if (!parent || !isBefore(timer, parent)) break
    heap[index] = parent
    index = above
  }
  heap[index] = timer
}

function pop(heap: Timer[]): void {
  const last = heap.pop()
  if (!last || heap.length === 0) return
  let index = 0
  for (;;) {
    const left = 2 * index + 1
    const leftTimer = heap[left]
    if (!leftTimer) break
    const rightTimer = heap[left + 1]
    const below = rightTimer && isBefore(rightTimer, leftTimer) ? left + 1 : left
    const child = heap[below]
    if (!child || !isBefore(child, last)) break
    heap[index] = child
    index = below
  }
  heap[index] = last
}
