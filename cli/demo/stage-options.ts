import type { Profile } from '../../decider/timing.ts'
import type { Clock, Random } from '../../lib/service/clock.ts'
import type { Log } from '../../lib/service/log.ts'

export const GROUP_ID = 33
export const HADR_PROJECT_ID = 101
export const MAIN_TAG = 'rnd-runner'

export interface DeciderServers {
  gitlab: string
  prometheus: string
}

export interface StageOptions {
  /** Multiplies every duration of every program and of GitLab. */
  timeScale: number
  /** Names; each gets the tag `runner-<name>`, in falling priority, and the first holds the main tag at the start. */
  clusters: readonly string[]
  runnersPerCluster: number
  /** Of the deciders; balanced when missing. */
  profile?: Profile
  /** The real Prometheus, or the simulated query endpoint where there is none. */
  realPrometheus: boolean
  /** Folder of the bundled programs. */
  programs: string
  /** Holds configurations, tokens, data and logs. */
  folder: string
  clock: Clock
  random: Random
  log: Log
  /** Where a cluster's decider finds these servers, when not at their own addresses but behind something. */
  reroute?: (cluster: string, servers: DeciderServers) => Promise<DeciderServers>
  /** Ends waiting for what starts. */
  signal: AbortSignal
}
