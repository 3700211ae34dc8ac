import type { Clock } from '../lib/service/clock.ts'
import type { HttpTransport } from '../lib/http/transport.ts'
import { foldContact, type ContactState } from './contact.ts'
import type { Notices } from './notices.ts'
import { readRunner, type RunnerReading, type RunnerSample } from './runner.ts'
import type { SidecarTiming } from './timing.ts'

/** What this pod itself shows of its runner. */
export interface LocalView {
  endpoint: 'answering' | 'gone' | 'unreadable'
  /** The newest reading, while it counts. */
  sample: RunnerSample | undefined
  /** By short token. */
  contacts: ReadonlyMap<string, ContactState>
  /** Milliseconds since 1970 of the last seen successful job request. */
  lastContactWallMs: number | undefined
}

export interface LocalWatch {
  /** Looks once; resolves with whether the runner answered. Rejects only when `signal` aborts. */
  check(signal: AbortSignal): Promise<boolean>
  view(): LocalView
}

/** Refusals in a row that prove a listener gone: one may be a restart of the runner's metrics server in progress. */
const REFUSALS_THAT_PROVE = 2

export function createLocalWatch(deps: {
  transport: HttpTransport
  clock: Clock
  url: string
  timing: SidecarTiming
  notices: Notices
}): LocalWatch {
  const { clock, timing, notices, url } = deps
  let seen: { sample: RunnerSample; atMs: number } | undefined
  let refusals = 0
  let contacts = new Map<string, ContactState>()
  let lastContactWallMs: number | undefined

  function takeIn(sample: RunnerSample): void {
    const nowMs = clock.monotonicMs()
    const next = new Map<string, ContactState>()
    for (const { shortToken, counters, running, limit } of sample.entries) {
      const full = sample.processFull || (limit !== undefined && running >= limit)
      const state = foldContact(contacts.get(shortToken), { counters, full }, nowMs)
      if (state.lastGoodMs === nowMs) lastContactWallMs = clock.wallMs()
      next.set(shortToken, state)
    }
    contacts = next
    seen = { sample, atMs: nowMs }
  }

  function notice(reading: RunnerReading): void {
    if (reading.state === 'answering') {
      const entries = reading.sample.entries.length
      notices('runner metrics', 'answering', 'info', { url, entries }, "the runner's metrics are readable")
    } else {
      const mend = 'set listen_address (chart: metrics.enabled) in the runner, or --runner-metrics-url here'
      const fields = { url, problem: reading.problem, mend }
      notices('runner metrics', reading.state, 'warn', fields, "the runner's metrics cannot be read")
    }
  }

  return {
    check: async signal => {
      const reading = await readRunner(deps, signal)
      refusals = reading.state === 'refused' ? refusals + 1 : 0
      if (reading.state === 'answering') takeIn(reading.sample)
      notice(reading)
      return reading.state === 'answering'
    },
    view: () => {
      const fresh = seen !== undefined && clock.monotonicMs() - seen.atMs <= timing.sampleMaxAgeMs
      const gone = seen !== undefined && refusals >= REFUSALS_THAT_PROVE
      const answering = fresh && !gone
      return {
        endpoint: answering ? 'answering' : gone ? 'gone' : 'unreadable',
        sample: answering ? seen?.sample : undefined,
        contacts,
        lastContactWallMs,
      }
    },
  }
}
