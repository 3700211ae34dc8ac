import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { Registry } from 'prom-client'
import { withDeadline, type Clock, type Random } from './clock.ts'
import { formatListenAddress, type ListenAddress } from './listen-address.ts'
import type { Log } from './log.ts'

export interface OpsAnswer {
  status: number
  body: string
  /** Plain text when absent. */
  contentType?: string
  /** More headers, in lower case. */
  headers?: Readonly<Record<string, string>>
}

export interface OpsRequest {
  /** As it was sent, without the query. */
  path: string
  /** Names in lower case. */
  headers: IncomingHttpHeaders
}

export type OpsRoute = (query: URLSearchParams, request: OpsRequest) => OpsAnswer | Promise<OpsAnswer>

export interface OpsServerOptions {
  listen: ListenAddress
  registry: Pick<Registry, 'metrics' | 'contentType'>
  /** `true`, or in a few words what is not ready yet. */
  ready: () => true | string
  /** More paths, answered to GET and HEAD; `/jobs/*` takes all below `/jobs/` that has no route of its own. */
  routes?: Readonly<Record<string, OpsRoute>>
  /** `retry`: a taken port is tried again for ever, for a program that must not exit. `fail`: `start` rejects. */
  portTaken: 'retry' | 'fail'
  clock: Clock
  random: Random
  log: Log
}

export interface OpsServer {
  /** Resolves when it listens; with `portTaken: 'retry'` after the first try, whatever came of it. */
  start(): Promise<void>
  /** Refuses new connections, lets running answers end (at most a second), then closes. Safe to call twice. */
  stop(): Promise<void>
  /** Where it listens; undefined while it does not. */
  address(): { host: string; port: number } | undefined
}

const FIRST_RETRY_MS = 1_000
const LONGEST_RETRY_MS = 60_000
const STOP_GRACE_MS = 1_000
/** Scrapers and people; more at once is a mistake or an attack. */
const MAX_CONNECTIONS = 64

/** `/metrics`, `/livez`, `/readyz` on plain HTTP, read only: the endpoints that all programs have. */
export function createOpsServer(options: OpsServerOptions): OpsServer {
  const { listen, registry, ready, clock, random, log } = options
  const stopping = new AbortController()
  const text = (status: number, body: string): OpsAnswer => ({ status, body: `${body}\n` })
  const routes = new Map<string, OpsRoute>([
    ['/metrics', async () => ({ status: 200, body: await registry.metrics(), contentType: registry.contentType })],
    ['/livez', () => text(200, 'ok')],
    [
      '/readyz',
      () => {
        const verdict = ready()
        return verdict === true ? text(200, 'ok') : text(503, verdict)
      },
    ],
    ...Object.entries(options.routes ?? {}),
  ])

  const server = createServer((request, response) => void answer(request, response))
  server.maxConnections = MAX_CONNECTIONS
  server.headersTimeout = 5_000
  server.requestTimeout = 10_000
  server.on('clientError', (_error, socket) => socket.destroy())

  function below(path: string): OpsRoute | undefined {
    return [...routes].find(([name]) => name.endsWith('/*') && path.startsWith(name.slice(0, -1)))?.[1]
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = '', query = ''] = (request.url ?? '').split(/\?(.*)/s)
    request.resume()
    const route = routes.get(path) ?? below(path)
    let reply: OpsAnswer
    if (route === undefined) reply = text(404, `nothing here; try ${[...routes.keys()].join(' ')}`)
    else if (request.method !== 'GET' && request.method !== 'HEAD') reply = text(405, 'read only')
    else {
      try {
        reply = await route(new URLSearchParams(query), { path, headers: request.headers })
      } catch (error) {
        log.error({ path, err: error }, 'an ops endpoint failed')
        reply = text(500, 'internal error, see the log')
      }
    }
    response.writeHead(reply.status, {
      'content-type': reply.contentType ?? 'text/plain; charset=utf-8',
      'content-length': Buffer.byteLength(reply.body),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...(reply.status === 405 ? { allow: 'GET, HEAD' } : {}),
      ...reply.headers,
    })
    response.end(request.method === 'HEAD' ? undefined : reply.body)
  }

  function address(): { host: string; port: number } | undefined {
    const bound = server.listening ? server.address() : null
    return bound === null || typeof bound === 'string' ? undefined : { host: bound.address, port: bound.port }
  }

  async function tryToListen(): Promise<boolean> {
    try {
      await listenOnce(server, listen)
      log.info({ address: formatListenAddress({ ...listen, port: address()?.port ?? listen.port }) }, 'listening')
      return true
    } catch (error) {
      if (options.portTaken === 'fail') throw error
      log.error({ address: formatListenAddress(listen), err: error }, 'cannot listen; trying again for ever')
      return false
    }
  }

  async function keepTrying(): Promise<void> {
    for (let delay = FIRST_RETRY_MS; !stopping.signal.aborted; delay = Math.min(2 * delay, LONGEST_RETRY_MS)) {
      await clock.sleep(delay * (1 + random()), stopping.signal)
      try {
        await listenOnce(server, listen)
        log.info({ address: formatListenAddress(listen) }, 'listening at last')
        return
      } catch {
        log.debug({ address: formatListenAddress(listen) }, 'still cannot listen')
      }
    }
  }

  return {
    start: async () => {
      if (await tryToListen()) return
      keepTrying().catch(() => undefined)
    },
    stop: async () => {
      stopping.abort(new Error('the ops server stops'))
      if (!server.listening) return
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      server.closeIdleConnections()
      try {
        await withDeadline(clock, STOP_GRACE_MS, signal => Promise.race([closed, aborted(signal)]))
      } catch {
        server.closeAllConnections()
        await closed
      }
    },
    address,
  }
}

function listenOnce(server: Server, { host, port }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => {
      server.off('listening', onListening)
      reject(error)
    }
    const onListening = () => {
      server.off('error', onError)
      resolve()
    }
    server.once('error', onError)
    server.once('listening', onListening)
    server.listen(host === undefined ? { port } : { port, host })
  })
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('too slow')), { once: true })
  })
}
