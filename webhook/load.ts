export interface LoadLimits {
  requests: number
  bytes: number
}

/** What is being received and answered right now; `bytes` as announced, the largest allowed where nothing is announced. */
export type Load = Readonly<LoadLimits>

export interface LoadGate {
  /** Lets a request of that many bytes in, or answers undefined when there is no room; `leave` must be called once. */
  enter(bytes: number): { leave: () => void } | undefined
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
      if (requests > 0 && (requests >= maxRequests || bytes + size > maxBytes)) return undefined
      requests++
      bytes += size
      return {
        leave: () => {
          requests--
          bytes -= size
        },
      }
    },
  }
}
