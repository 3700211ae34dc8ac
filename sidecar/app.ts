import { Registry } from 'prom-client'
import type { GitLabClient } from '../lib/gitlab/types.ts'
import type { HttpTransport } from '../lib/http/transport.ts'
import { registerBuildInfo } from '../lib/service/build-info.ts'
import type { Clock, Random } from '../lib/service/clock.ts'
import type { ListenAddress } from '../lib/service/listen-address.ts'
import type { Log } from '../lib/service/log.ts'
import { createOpsServer } from '../lib/service/ops-server.ts'
import type { TokenSource } from '../lib/service/token-source.ts'
import { describeAvailability } from './availability.ts'
import { evaluate, type Evaluation } from './evaluate.ts'
import { createGitLabWatch } from './gitlab.ts'
import { createLocalWatch } from './local.ts'
import { registerSidecarMetrics, type Place, type Snapshot } from './metrics.ts'
import { createNap } from './nap.ts'
import { createNotices } from './notices.ts'
import { readPorts, type PortUsage } from './ports.ts'
import type { SidecarTiming } from './timing.ts'

export interface SidecarOptions {
  listen: ListenAddress
  place: Place
  /** The pod's names, which are its runner's description when that has a registration token. */
  names: readonly string[]
  group: string | undefined
  runnerIds: readonly number[]
  /** Runners per page while searching, at most 100. */
  perPage: number
  runnerMetricsUrl: string
  procRoot: string
  timing: SidecarTiming
  /** False when a flag or variable was not understood and its default is used. */
  configurationOk: boolean
  version: string
}

export interface SidecarDeps {
  options: SidecarOptions
  /** For the runner's metrics, on loopback. */
  transport: HttpTransport
  client: GitLabClient | undefined
  tokens: TokenSource
  clock: Clock
  random: Random
  log: Log
}

export interface Sidecar {
  /** Starts serving and looking. Resolves after the first try to listen; a taken port is tried again for ever. */
  start(): Promise<void>
  /** Calls the runner unavailable from now on, and resolves when it has stopped answering twice in a row. */
  drain(): Promise<void>
  /** Ends everything. Safe to call twice. */
  stop(): Promise<void>
  /** Where the metrics are served; undefined while they are not. */
  address(): { host: string; port: number } | undefined
}

/** Looks in vain that end the wait for a draining runner. */
const SILENT_LOOKS = 2
/** Bounds what is remembered of entries that came and went. */
const MAX_REMEMBERED = 64

/** Puts the sidecar together: one runner's facts in, metrics out. */
export function createSidecar({ options, transport, client, tokens, clock, random, log }: SidecarDeps): Sidecar {
  const { timing, place } = options
  const startedMs = clock.monotonicMs()
  const notices = createNotices(log)
  const local = createLocalWatch({ transport, clock, url: options.runnerMetricsUrl, timing, notices })
  const gitlab = createGitLabWatch({ ...options, client, tokens, clock, random, notices })
  const stopping = new AbortController()
  const nap = createNap(clock)
  const metEntries = new Set<string>()
  let ports: PortUsage | undefined
  let looked = false
  let draining: { silent: number; done: () => void } | undefined

  const stopped = () => stopping.signal.aborted
  const entries = () => local.view().sample?.entries ?? []

  function current(): Evaluation {
    return evaluate({
      local: local.view(),
      gitlab: gitlab.view(entries()),
      terminating: draining !== undefined,
      nowMs: clock.monotonicMs(),
      staleAfterMs: timing.staleAfterMs,
    })
  }

  function snapshot(): Snapshot {
    const said = gitlab.view(entries())
    const { pod, online, contactOk, identityOk } = current()
    const { endpoint, sample, lastContactWallMs } = local.view()
    return {
      online,
      total: said.total,
      verdict: pod,
      runningJobs:
        endpoint === 'answering' ? sample?.entries.reduce((sum, { running }) => sum + running, 0) : undefined,
      // In whole nanoseconds, which is what the clock has; a plain division would add digits of its own.
      uptimeSeconds: Math.round((clock.monotonicMs() - startedMs) * 1e6) / 1e9,
      statusRequests: said.checks,
      ports,
      checks: {
        configuration: options.configurationOk,
        runner_metrics: looked ? endpoint === 'answering' : undefined,
        contact: contactOk,
        identity: identityOk,
        gitlab: said.checkOk,
        ports: looked ? ports !== undefined : undefined,
      },
      runners: said.identities.flatMap(({ runnerId, systemId }) =>
        runnerId === undefined ? [] : [{ runnerId, systemId }],
      ),
      lastContactSeconds: toSeconds(lastContactWallMs),
      gitlabLastSuccessSeconds: toSeconds(said.lastSuccessWallMs),
    }
  }

  async function countPorts(): Promise<void> {
    try {
      ports = await readPorts(options.procRoot)
      notices('ports', 'ok', 'debug', ports, 'local ports are counted')
    } catch (error) {
      ports = undefined
      const problem = error instanceof Error ? error.message : String(error)
      notices('ports', problem, 'warn', { problem }, 'local ports cannot be counted')
    }
  }

  async function look(): Promise<void> {
    const answered = await local.check(stopping.signal)
    await countPorts()
    looked = true
    if (draining !== undefined) {
      draining.silent = answered ? 0 : draining.silent + 1
      if (draining.silent >= SILENT_LOOKS) draining.done()
    }
    const verdict = describeAvailability(current().pod)
    notices('availability', verdict, 'info', { pod: place.podName }, `the runner is ${verdict}`)
    hurryForNewEntries()
  }

  function hurryForNewEntries(): void {
    const fresh = entries().filter(({ shortToken }) => !metEntries.has(shortToken))
    if (metEntries.size + fresh.length > MAX_REMEMBERED) metEntries.clear()
    for (const { shortToken } of fresh) metEntries.add(shortToken)
    if (fresh.length > 0) nap.cut()
  }

  async function askGitLab(): Promise<void> {
    const startMs = clock.monotonicMs()
    nap.prepare()
    await gitlab.check(entries(), stopping.signal)
    // Jitter only adds, so that two requests a minute are never exceeded.
    if (!stopped()) await nap.take(timing.statusCheckMs * (1 + 0.1 * random()))
    const earliestMs = startMs + timing.hurryMs
    const waitMs = Math.max(earliestMs - clock.monotonicMs(), gitlab.pauseMs())
    if (waitMs > 0) await clock.sleep(waitMs, stopping.signal)
  }

  /** Repeats `step` until the sidecar stops; a fault of one round must not end the program, nor spin. */
  async function repeat(name: string, step: () => Promise<void>): Promise<void> {
    while (!stopped()) {
      try {
        await step()
      } catch (error) {
        if (stopped()) return
        notices(name, String(error), 'error', { err: error }, `the ${name} loop failed and goes on`)
        await clock.sleep(timing.localCheckMs * (1 + random()), stopping.signal).catch(() => undefined)
      }
    }
  }

  const registry = new Registry()
  registerSidecarMetrics(registry, place, snapshot)
  registerBuildInfo(registry, 'sidecar', options.version)
  const server = createOpsServer({
    listen: options.listen,
    registry,
    ready: () => looked || 'the first look at the runner is still to come',
    routes: {
      '/healthz': () => {
        const { pod } = current()
        return { status: pod.state === 'available' ? 200 : 503, body: `${describeAvailability(pod)}\n` }
      },
    },
    portTaken: 'retry',
    clock,
    random,
    log,
  })

  let loops: Promise<unknown> = Promise.resolve()
  return {
    start: async () => {
      const firstLook = look().catch(() => undefined)
      loops = Promise.all([
        firstLook.then(() =>
          repeat('local', async () => {
            // No jitter: each pod asks only itself.
            await clock.sleep(timing.localCheckMs, stopping.signal)
            await look()
          }),
        ),
        firstLook
          .then(() => clock.sleep(random() * timing.startSpreadMs, stopping.signal))
          .then(
            () => repeat('gitlab', askGitLab),
            () => undefined,
          ),
      ])
      await server.start()
    },
    drain: () =>
      new Promise(resolve => {
        draining = { silent: 0, done: resolve }
      }),
    stop: async () => {
      stopping.abort(new Error('the sidecar stops'))
      nap.cut()
      await Promise.all([loops, server.stop()])
    },
    address: () => server.address(),
  }
}

function toSeconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1_000
}
