import type { ContactCounters } from './runner.ts'

/** What is remembered of one entry's contact with GitLab between two readings of the runner's metrics. */
export interface ContactState {
  counters: ContactCounters
  /** When a job request was last seen to succeed; undefined: never since the process or the sidecar started. */
  lastGoodMs: number | undefined
  /** Since when the runner had a free slot and no success; undefined while it is full, for a full runner does not ask. */
  waitingSinceMs: number | undefined
  /** Whether GitLab refused the runner (403) after its last success. */
  refused: boolean
  /** Whether the runner counted unhealthy answers, or sat out a round, after its last success. */
  unhealthy: boolean
}

/**
 * `never`: no success was seen yet. `good`: a success not long ago, or none is due because the runner is full.
 * The others: a success was due for too long, and `refused` and `broken` say why.
 */
export type Contact = 'never' | 'good' | 'stale' | 'refused' | 'broken'

/**
 * Takes in one more reading; `nowMs` is monotonic. The first reading is only a baseline, because counters say nothing
 * about when they grew. A counter that went back belongs to a new process, of which everything is still to be seen.
 */
export function foldContact(
  previous: ContactState | undefined,
  reading: { counters: ContactCounters; full: boolean },
  nowMs: number,
): ContactState {
  const { counters, full } = reading
  const waitingSinceMs = full ? undefined : (previous?.waitingSinceMs ?? nowMs)
  if (previous === undefined) {
    return { counters, lastGoodMs: undefined, waitingSinceMs, refused: false, unhealthy: false }
  }
  const restarted =
    counters.good < previous.counters.good ||
    counters.refused < previous.counters.refused ||
    counters.unhealthy < previous.counters.unhealthy
  const before = restarted
    ? { counters: { good: 0, refused: 0, unhealthy: 0 }, lastGoodMs: undefined, refused: false, unhealthy: false }
    : previous
  if (counters.good > before.counters.good) {
    return { counters, lastGoodMs: nowMs, waitingSinceMs: full ? undefined : nowMs, refused: false, unhealthy: false }
  }
  return {
    counters,
    lastGoodMs: before.lastGoodMs,
    waitingSinceMs,
    refused: before.refused || counters.refused > before.counters.refused,
    unhealthy: before.unhealthy || counters.unhealthy > before.counters.unhealthy,
  }
}

/** Judges the contact at `nowMs`; a success is due every `staleAfterMs` while a slot is free. */
export function judgeContact(state: ContactState, nowMs: number, staleAfterMs: number): Contact {
  const overdue = state.waitingSinceMs !== undefined && nowMs - state.waitingSinceMs >= staleAfterMs
  if (overdue && state.refused) return 'refused'
  if (overdue && state.unhealthy) return 'broken'
  if (state.lastGoodMs === undefined) return 'never'
  return overdue ? 'stale' : 'good'
}
