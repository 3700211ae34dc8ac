/** Whether this process may still write; whoever writes asks right before each request that changes something. */
export interface WriteGuard {
  /** False once no further request may be sent: the process stops, the pool is gone, or somebody else leads. */
  maySend(): boolean
  /** Aborts when even a request under way must be given up, because the lease is lost. */
  over: AbortSignal
}

/** Writes as long as `signal` does not abort; what is under way then ends by itself. */
export function guardUntil(signal: AbortSignal): WriteGuard {
  return { maySend: () => !signal.aborted, over: new AbortController().signal }
}
