import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createNodeTransport } from '../../lib/http/node-transport.ts'
import { systemClock, type Clock, type Random } from '../../lib/service/clock.ts'
import { formatListenAddress, parseListenAddress } from '../../lib/service/listen-address.ts'
import { silentLog, type Log } from '../../lib/service/log.ts'
import { createCoordinator } from './coordinator.ts'
import { startManager } from './manager.ts'
import { createRunnerMetrics, type ProcessState, type RunningJob } from './metrics.ts'

export interface SimulatedRunnerOptions {
  /** GitLab's URL, or that of its `/api/v4`. */
  gitlabUrl: string
  /** One per `[[runners]]` section. */
  tokens: readonly string[]
  /** The name in its configuration. With registration tokens it is the pod's name. */
  name: string
  /** `r_` and twelve letters or digits; made up when missing. */
  systemId?: string
  /** `host:port` of the metrics. Default `127.0.0.1:0`. */
  listen?: string
  /** Most jobs at once in this process. Default 10, as the Helm chart has it. */
  concurrent?: number
  /** Most jobs at once of each section. Default 0: no limit but `concurrent`. */
  limit?: number
  /** Default 3000, as the Helm chart has it. */
  checkIntervalMs?: number
  /** Default true: tells GitLab the `last_update` it knows, so that GitLab may hold the request. */
  longPoll?: boolean
  /** How long three unhealthy answers in a row switch a section off. Default 60 min. */
  breakerMs?: number
  /** For jobs without the variable `SIMULATED_DURATION_MS`. Default 30 s. */
  jobDurationMs?: number
  /** Multiplies all of the runner's intervals, the length of jobs included: 0.1 turns its 3 s into 0.3 s. Default 1. */
  timeScale?: number
  clock?: Clock
  random?: Random
  log?: Log
}

export interface SimulatedRunner {
  /** `http://host:port/metrics`, with gitlab-runner's own metrics. */
  metricsUrl: string
  systemId: string
  /** The labels `runner` of its metrics, in the order of the tokens. */
  shortTokens: readonly string[]
  /**
   * `graceful`: as SIGQUIT, takes no more jobs and finishes those it has. `abort`: as SIGTERM, fails them at once.
   * Resolves when all is over and the metrics' port is closed. An abort may follow a graceful stop.
   */
  stop(how: 'graceful' | 'abort'): Promise<void>
}

/** Of the GitLab Runner that is imitated. */
const VERSION = '19.4.0'

/** Starts an imitation of one gitlab-runner process: scheduling, job protocol, circuit breaker and metrics. */
export async function startRunner(options: SimulatedRunnerOptions): Promise<SimulatedRunner> {
  const { clock = systemClock, random = Math.random, log = silentLog, limit = 0, longPoll = true } = options
  const systemId = options.systemId ?? createSystemId(random)
  const running = new Set<RunningJob>()
  let state: ProcessState = 'starting'
  const metrics = createRunnerMetrics({ version: VERSION, processState: () => state, runningJobs: () => running })
  const server = createServer((request, response) => {
    if (request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404).end()
      return
    }
    void metrics.registry.metrics().then(text => {
      response.writeHead(200, { 'content-type': metrics.registry.contentType }).end(text)
    })
  })
  const metricsUrl = await listen(server, options.listen ?? '127.0.0.1:0')

  const transport = createNodeTransport()
  const { gitlabUrl, name } = options
  const common = { gitlabUrl, name, systemId, version: VERSION, longPoll, transport, clock, metrics }
  const entries = options.tokens.map(token => {
    const shortToken = shorten(token)
    return {
      labels: { runner: shortToken, runner_name: name, system_id: systemId },
      limit,
      coordinator: createCoordinator({ ...common, token, shortToken }),
    }
  })
  const manager = startManager({
    entries,
    concurrent: options.concurrent ?? 10,
    checkIntervalMs: options.checkIntervalMs ?? 3_000,
    breakerMs: options.breakerMs ?? 60 * 60_000,
    jobDurationMs: options.jobDurationMs ?? 30_000,
    clock: scaled(clock, options.timeScale ?? 1),
    random,
    log,
    metrics,
    running,
  })
  state = 'running'

  return {
    metricsUrl,
    systemId,
    shortTokens: entries.map(({ labels }) => labels.runner),
    stop: async how => {
      state = how === 'graceful' ? 'graceful-shutdown' : 'forceful-shutdown'
      await (how === 'graceful' ? manager.drain() : manager.abort())
      transport.close()
      if (!server.listening) return
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

/** GitLab Runner's short token: the first nine characters after a prefix, or the first eight of a token without one. */
export function shorten(token: string): string {
  const prefix = /^(?:GR1348941|gl[a-z]+-)?(?:t\d_)?/.exec(token)?.[0] ?? ''
  return token.slice(prefix.length, prefix.length + (prefix === '' ? 8 : 9))
}

function createSystemId(random: Random): string {
  const letters = '0123456789abcdefghijklmnopqrstuvwxyz'
  return `r_${Array.from({ length: 12 }, () => letters[Math.floor(random() * letters.length)] ?? '0').join('')}`
}

async function listen(server: ReturnType<typeof createServer>, address: string): Promise<string> {
  const wanted = parseListenAddress(address)
  if (wanted === undefined) throw new TypeError('the address to listen on must be host:port or :port')
  server.listen(wanted)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return `http://${formatListenAddress({ host: wanted.host ?? '127.0.0.1', port })}/metrics`
}

function scaled(clock: Clock, factor: number): Clock {
  return {
    monotonicMs: () => clock.monotonicMs() / factor,
    wallMs: () => clock.wallMs(),
    sleep: (ms, signal) => clock.sleep(ms * factor, signal),
    after: (ms, callback) => clock.after(ms * factor, callback),
  }
}
