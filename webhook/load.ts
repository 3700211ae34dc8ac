export interface LoadLimits {
  requests: number
  bytes: number
}

/** What is being received and answered right now; `bytes` as announced, the largest allowed where nothing is announced. */
export type Load = Readonly<LoadLimits>

export interface LoadGate {
  /** Lets a request of that many bytes in, or answers false when there is no room. */
  enter(bytes: number): boolean
  /** Must be called once for each request that was let in, with the same bytes. */
  leave(bytes: number): void
  readonly load: Load
}

/** Bounds what is being received and answered at one time, so that a burst costs memory up to a limit and no more. */
export function createLoadGate({ requests: maxRequests, bytes: maxBytes }: LoadLimits): LoadGate {
  let requests = 0
  let bytes = 0
  return {
    get load() {
      return { requests, bytes }
    },
    enter: size => {
      // One request alone is always let in, however small the limit.
      if (requests > 0 && (requests >= maxRequests || bytes + size > maxBytes)) return false
      requests++
      bytes += size
      return true
    },
    leave: size => {
      requests--
      bytes -= size
    },
  }
}
