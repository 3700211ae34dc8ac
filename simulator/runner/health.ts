/** GitLab Runner's built-in circuit breaker, of one `[[runners]]` entry (its `commands/health_helper.go`). */
export interface Health {
  /** Three failures in a row switch the entry off for `intervalMs`, counted from its last healthy answer or trial. */
  isHealthy(nowMs: number): boolean
  mark(healthy: boolean, nowMs: number): void
}

const FAILURES_ALLOWED = 3

export function createHealth(intervalMs: number, startMs: number): Health {
  let failures = 0
  let lastCheckMs = startMs
  return {
    isHealthy: nowMs => {
      if (failures < FAILURES_ALLOWED) return true
      if (nowMs - lastCheckMs <= intervalMs) return false
      failures = 0
      lastCheckMs = nowMs
      return true
    },
    mark: (healthy, nowMs) => {
      failures = healthy ? 0 : failures + 1
      if (healthy) lastCheckMs = nowMs
    },
  }
}
