import type { Clock } from '../../lib/service/clock.ts'
import { type VirtualTime, sleepOn } from './time.ts'

/** What a suspension stops: only the process (SIGSTOP), or the whole machine with its monotonic clock. */
export type Suspension = 'process' | 'machine'

/**
 * The machine a cluster's decider runs on: its clocks may be off, run at another rate, jump or stand still. All of its
 * processes share them.
 */
export interface Machine {
  /** A process started now; after `kill` none of its timers fires any more. */
  boot(): { clock: Clock; kill: () => void }
  /** 1: exact; 1.1: ten percent fast. Both clocks. */
  setRate(rate: number): void
  /** Somebody sets the wall clock; the monotonic one does not notice. */
  jumpWall(ms: number): void
  suspend(kind: Suspension): void
  resume(): void
  /** Resolves at once, or when the machine runs again: what arrives meanwhile waits in a socket. */
  awake(): Promise<void>
  readonly suspended: boolean
}

interface LocalTimer {
  dueMs: number
  fire: () => void
  cancel: () => void
}

export function createMachine(time: VirtualTime): Machine {
  let rate = 1
  let suspension: Suspension | undefined
  let since = { trueMs: 0, monotonicMs: 0, wallMs: time.wallMs() - time.monotonicMs() }
  let waiting: (() => void)[] = []
  const processes = new Set<Set<LocalTimer>>()

  const elapsedMs = () => (time.monotonicMs() - since.trueMs) * rate
  const monotonicMs = () => since.monotonicMs + (suspension === 'machine' ? 0 : elapsedMs())
  const wallMs = () => since.wallMs + elapsedMs()
  const rebase = (change: () => void) => {
    since = { trueMs: time.monotonicMs(), monotonicMs: monotonicMs(), wallMs: wallMs() }
    change()
  }
  const arm = (timers: Set<LocalTimer>, timer: LocalTimer) => {
    timer.cancel = time.after((timer.dueMs - monotonicMs()) / rate, () => {
      timers.delete(timer)
      timer.fire()
    })
  }
  const eachTimer = (visit: (timers: Set<LocalTimer>, timer: LocalTimer) => void) => {
    for (const timers of processes) for (const timer of timers) visit(timers, timer)
  }

  return {
    boot() {
      const bornMs = monotonicMs()
      const timers = new Set<LocalTimer>()
      processes.add(timers)
      const after = (ms: number, fire: () => void) => {
        if (!processes.has(timers)) return () => undefined
        const timer: LocalTimer = { dueMs: monotonicMs() + Math.max(0, ms), fire, cancel: () => undefined }
        timers.add(timer)
        if (!suspension) arm(timers, timer)
        return () => {
          timer.cancel()
          timers.delete(timer)
        }
      }
      return {
        clock: {
          monotonicMs: () => monotonicMs() - bornMs,
          wallMs,
          after,
          sleep: (ms, signal) => sleepOn(after, ms, signal),
        },
        kill() {
          processes.delete(timers)
          for (const timer of timers) timer.cancel()
          timers.clear()
        },
      }
    },
    setRate(wanted) {
      rebase(() => (rate = wanted))
      if (suspension) return
      eachTimer((timers, timer) => {
        timer.cancel()
        arm(timers, timer)
      })
    },
    jumpWall(ms) {
      since.wallMs += ms
    },
    suspend(kind) {
      rebase(() => (suspension = kind))
      eachTimer((_timers, timer) => timer.cancel())
    },
    resume() {
      rebase(() => (suspension = undefined))
      eachTimer(arm)
      const woken = waiting
      waiting = []
      // Timers that are due by now fire first, as in Node's event loop; then what lies in the sockets is read.
      time.after(0, () => {
        for (const wake of woken) wake()
      })
    },
    awake: () => (suspension ? new Promise(resolve => waiting.push(resolve)) : Promise.resolve()),
    get suspended() {
      return suspension !== undefined
    },
  }
}
