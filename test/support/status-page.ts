import { Registry } from 'prom-client'
import type { Test } from 'tap'
import { statusRoutes } from '../../cli/decider/routes.ts'
import { readStatusPage } from '../../cli/status-page.ts'
import type { StatusReport } from '../../decider/app.ts'
import { statusPage } from '../../decider/status/page.ts'
import { systemClock } from '../../lib/service/clock.ts'
import { silentLog } from '../../lib/service/log.ts'
import { createOpsServer } from '../../lib/service/ops-server.ts'

export interface StatusServer {
  url: string
  /** Closes every connection and listens no more. */
  stop(): Promise<void>
  /** Listens again, where it did before. */
  start(): Promise<void>
}

/** The decider's ops server with its page on loopback, telling what `status` tells at each request. */
export async function serveStatus(status: () => StatusReport): Promise<StatusServer> {
  const page = statusPage(await readStatusPage())
  const decider = { status, alive: () => true as const, records: () => ({}) }
  let port = 0
  const create = () =>
    createOpsServer({
      listen: { host: '127.0.0.1', port },
      registry: new Registry(),
      ready: () => true,
      routes: statusRoutes(decider, page),
      portTaken: 'fail',
      clock: systemClock,
      random: Math.random,
      log: silentLog,
    })
  let server = create()
  await server.start()
  port = server.address()?.port ?? 0
  return {
    url: `http://127.0.0.1:${port}/`,
    stop: () => server.stop(),
    start: async () => {
      server = create()
      await server.start()
    },
  }
}

/** The same for a test, which ends it. */
export async function startStatusServer(t: Test, status: () => StatusReport): Promise<StatusServer> {
  const server = await serveStatus(status)
  t.teardown(() => server.stop())
  return server
}
