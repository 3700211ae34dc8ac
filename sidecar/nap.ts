import type { Clock } from '../lib/service/clock.ts'

/** A sleep that others may cut short, even before it begins. */
export interface Nap {
  /** From here on a cut counts for the next sleep. */
  prepare(): void
  /** Sleeps for `ms`, or not at all when it was cut since `prepare`. Never rejects. */
  take(ms: number): Promise<void>
  cut(): void
}

export function createNap(clock: Clock): Nap {
  let cutter = new AbortController()
  return {
    prepare: () => {
      cutter = new AbortController()
    },
    take: ms => clock.sleep(ms, cutter.signal).catch(() => undefined),
    cut: () => cutter.abort(),
  }
}
