/** How long and how often things are measured; what is measured does not depend on it. */
export interface Durations {
  /** One closed loop against one server. */
  closedMs: number
  fixedMs: number
  /** How often each server has its turn. */
  rounds: number
  /** For the memory of the webhook. */
  requests: number
  /** For the memory of the sidecar. */
  scrapes: number
  /** Starts of a program. */
  starts: number
  /** Multiplies the time of programs whose intervals would have to be waited for. */
  timeScale: number
}

export const FULL: Durations = {
  closedMs: 2000,
  fixedMs: 5000,
  rounds: 5,
  requests: 1_000_000,
  scrapes: 8000,
  starts: 9,
  timeScale: 1,
}

export const QUICK: Durations = {
  closedMs: 300,
  fixedMs: 1000,
  rounds: 3,
  requests: 20_000,
  scrapes: 1000,
  starts: 3,
  timeScale: 0.1,
}

/** What every part is given. */
export interface PartOptions {
  durations: Durations
  /** Folder of the bundled programs. */
  programs: string
  /** A folder that goes with the run. */
  folder: string
  say: (line: string) => void
}
