import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { createGitLabClient } from '../../lib/gitlab/client.ts'
import type { HttpTransport } from '../../lib/http/transport.ts'
import type { Clock } from '../../lib/service/clock.ts'
import type { Log } from '../../lib/service/log.ts'
import { createTokenSource } from '../../lib/service/token-source.ts'
import { createSidecar, type SidecarOptions } from '../../sidecar/app.ts'
import { sidecarTiming } from '../../sidecar/timing.ts'
import { createManualClock } from '../support/manual-clock.ts'

/** Tables of six distinct local ports. */
export const PROC_ROOT = fileURLToPath(new URL('fixtures/proc', import.meta.url))
/** The sidecar looks at its runner every five seconds, so nothing shorter shows. */
const STEP_MS = 5_000

export interface LogLine {
  level: string
  message: string
  fields: object
}

/** A log that can be looked at. */
export function memoryLog(): Log & { lines: LogLine[] } {
  const lines: LogLine[] = []
  const at = (level: string) => (fields: object, message: string) => void lines.push({ level, message, fields })
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** A clock on which time passes only while everybody sleeps, so that real files and sockets get the time they need. */
export function patientClock() {
  const manual = createManualClock()
  let sleepers = 0
  const clock: Clock = {
    ...manual,
    sleep: async (ms, signal) => {
      sleepers += 1
      try {
        await manual.sleep(ms, signal)
      } finally {
        sleepers -= 1
      }
    },
  }
  const idle = async (expected: number) => {
    const giveUpAt = performance.now() + 5_000
    while (sleepers < expected) {
      if (performance.now() > giveUpAt) throw new Error(`only ${sleepers} of ${expected} loops came to rest`)
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  /** Lets `ms` pass in steps, before each of which both loops come to rest and `eachStep` happens. */
  const run = async (ms: number, eachStep: () => void = () => undefined) => {
    await idle(2)
    await manual.advance(0)
    await idle(2)
    for (let left = ms; left > 0; left -= STEP_MS) {
      eachStep()
      await manual.advance(Math.min(left, STEP_MS))
      await idle(2)
    }
  }
  return { clock, run }
}

export interface WorldOptions {
  runner: HttpTransport
  gitlab?: { url: string; transport: HttpTransport } | undefined
  token?: string | undefined
  options?: Partial<SidecarOptions>
  statusCheckSeconds?: number
}

/** A whole sidecar on a patient clock, seen from outside: over HTTP, and by its log. Ends with the test. */
export async function startWorld(t: Test, { runner, gitlab, token, options, statusCheckSeconds = 60 }: WorldOptions) {
  const { clock, run } = patientClock()
  const log = memoryLog()
  const random = () => 0
  const tokens = createTokenSource({ ...(token === undefined ? {} : { value: token }), log })
  const client = gitlab && createGitLabClient({ ...gitlab, token: () => tokens.token(), clock, random, log })
  const sidecar = createSidecar({
    options: {
      listen: { host: '127.0.0.1', port: 0 },
      place: { podName: 'pod-1', podNamespace: 'runners', podIp: '10.0.0.1', groupId: '33' },
      names: ['pod-1'],
      group: '33',
      runnerIds: [],
      perPage: 100,
      runnerMetricsUrl: 'http://127.0.0.1:9252/metrics',
      procRoot: PROC_ROOT,
      timing: sidecarTiming(statusCheckSeconds),
      configurationOk: true,
      version: '1.2.3',
      ...options,
    },
    transport: runner,
    client,
    tokens,
    clock,
    random,
    log,
  })
  t.teardown(() => sidecar.stop())
  await sidecar.start()

  const get = async (path: string) => {
    const request = http.get({ ...sidecar.address(), path, agent: false })
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    return { status: response.statusCode, body: await text(response) }
  }
  /** The value of the one series of a metric, undefined when it has none. */
  const value = async (name: string, labels = ''): Promise<number | undefined> => {
    const lines = (await get('/metrics')).body.split('\n')
    const found = lines.filter(line => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    const line = found.find(candidate => candidate.includes(labels))
    return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ') + 1))
  }
  return {
    sidecar,
    log,
    run,
    get,
    value,
    available: () => value('gitlab_runner_hadr_sidecar_available'),
    online: () => value('gitlab_runner_hadr_sidecar_online_status'),
    check: (name: string) => value('gitlab_runner_hadr_sidecar_check', `check="${name}"`),
    health: async () => (await get('/healthz')).body.trim(),
    /** Log lines that are worth a look, in order. */
    said: (message: string | RegExp) => log.lines.filter(line => line.message.match(message) !== null),
  }
}
