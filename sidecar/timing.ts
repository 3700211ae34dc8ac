/** Every interval of the sidecar, in milliseconds. Deadlines of single calls are not among them: those never scale. */
export interface SidecarTiming {
  /** Between two looks at the runner's own metrics and the pod's ports. */
  localCheckMs: number
  /** The shortest time between two questions to GitLab; jitter only adds to it, so that the request budget holds. */
  statusCheckMs: number
  /** The first question to GitLab waits up to this long, so that a rollout's pods do not ask all at once. */
  startSpreadMs: number
  /** After it saw a new runner entry the sidecar asks GitLab at once, but not sooner than this after the last time. */
  hurryMs: number
  /** A reading of the runner's metrics counts for this long when the following ones fail. */
  sampleMaxAgeMs: number
  /** A runner with a free slot that had no successful job request for this long has lost contact. */
  staleAfterMs: number
}

/** `scale` multiplies them all, for demonstrations and tests. */
export function sidecarTiming(statusCheckSeconds: number, scale = 1): SidecarTiming {
  return {
    localCheckMs: 5_000 * scale,
    statusCheckMs: statusCheckSeconds * 1_000 * scale,
    startSpreadMs: 5_000 * scale,
    hurryMs: Math.min(10, statusCheckSeconds) * 1_000 * scale,
    // Two failed looks in a row are forgiven.
    sampleMaxAgeMs: 14_000 * scale,
    // GitLab may hold a job request for 50 s (long polling), and the Operator asks every 30 s only.
    staleAfterMs: 180_000 * scale,
  }
}
