import { withDeadline, type Clock, type Random } from '../lib/service/clock.ts'
import type { Log } from '../lib/service/log.ts'

export interface NativeSidecarsOptions {
  /** The API server's version. */
  version: (signal: AbortSignal) => Promise<{ major: number; minor: number }>
  clock: Clock
  random: Random
  log: Log
}

export interface NativeSidecars {
  /** Whether every kubelet of the cluster is sure to know them; false until the API server has said so. */
  known(): boolean
  /** Asks until there is an answer. */
  start(): void
  stop(): Promise<void>
}

/**
 * Kubelets have them switched on from 1.29, and may be three minor versions behind the API server (Kubernetes' version
 * skew policy). On an older kubelet such a container would run to its end first, which never comes: no runner would start.
 */
const SURE_FROM_MINOR = 32

const ASK_DEADLINE_MS = 5_000
const FIRST_RETRY_MS = 1_000
const LONGEST_RETRY_MS = 60_000

/** Learns from the API server's version whether the cluster has native sidecars. */
export function createNativeSidecars({ version, clock, random, log }: NativeSidecarsOptions): NativeSidecars {
  const stopping = new AbortController()
  let known = false
  let running: Promise<void> = Promise.resolve()

  async function ask(): Promise<void> {
    for (let pauseMs = FIRST_RETRY_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_RETRY_MS)) {
      try {
        const { major, minor } = await withDeadline(clock, ASK_DEADLINE_MS, version, stopping.signal)
        known = major > 1 || (major === 1 && minor >= SURE_FROM_MINOR)
        log.info({ apiServer: `${major}.${minor}`, nativeSidecars: known }, 'the API server told its version')
        return
      } catch (error) {
        if (stopping.signal.aborted) return
        log.warn({ err: error }, 'the API server did not tell its version; no native sidecars until it does')
      }
      await clock.sleep(pauseMs * (0.75 + random() / 2), stopping.signal)
    }
  }

  return {
    known: () => known,
    start: () => {
      running = ask().catch(() => undefined)
    },
    stop: async () => {
      stopping.abort(new Error('the version is asked for no more'))
      await running
    },
  }
}
