import { once } from 'node:events'
import type { Server } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import Fastify, { type FastifyError, type FastifyReply } from 'fastify'
import type { Clock } from '../lib/service/clock.ts'
import { formatListenAddress, type ListenAddress } from '../lib/service/listen-address.ts'
import type { Log } from '../lib/service/log.ts'
import { TLS_MIN_VERSION, verifyPair, type ServingPair } from '../lib/tls/serving-pair.ts'
import { parseBody } from './body.ts'
import { answerTo, outcomeOf, type Answered, type Exchange, type ReviewResult } from './exchange.ts'
import { createLoadGate, type Load, type LoadLimits } from './load.ts'

export interface WebhookServerOptions<R extends ReviewResult> {
  listen: ListenAddress
  /** Gets the parsed body; does no I/O. When it throws, the request is admitted as it is. */
  review: (body: unknown) => R
  /** Called after each exchange, for metrics and the log. */
  onExchange: (exchange: Exchange<R>) => void
  /** A client that ended the TLS handshake: usually one that does not trust our certificate. */
  onHandshakeFailure: () => void
  clock: Clock
  log: Log
  /** How long other machines may still send us connections after we said that we are not ready. */
  endpointLagMs?: number
  limits?: LoadLimits
}

export interface WebhookServer {
  /** Listens, once; rejects when the pair does not verify or the port is taken. */
  start(pair: ServingPair): Promise<void>
  /**
   * Presents this pair from the next handshake on, connections that exist keep theirs. One that does not verify is
   * refused: the old one stays, and the problem is returned.
   */
  useCertificate(pair: ServingPair): string | undefined
  /**
   * Says at once that it is not ready, keeps answering with `Connection: close` until the endpoint lag is over, then
   * closes. Resolves when the last connection is gone, at the latest five seconds after the lag. A second call gets the
   * first one's promise.
   */
  stop(): Promise<void>
  ready(): true | string
  address(): { host: string; port: number } | undefined
  load(): Load
}

interface Answering<R> extends FastifyReply {
  answered?: Answered<R>
}

export const MUTATE_PATH = '/mutate'

/** Two objects, old and new, of at most 3 MiB each, and 1 MiB of envelope. */
const MAX_BODY_BYTES = 7 * 1024 * 1024
const DEFAULT_LIMITS: LoadLimits = { requests: 1000, bytes: 4 * MAX_BODY_BYTES }
const DEFAULT_ENDPOINT_LAG_MS = 10_000
/** A request that was sent as we closed is answered within the API server's own deadline or not at all. */
const CLOSE_GRACE_MS = 5_000
/** API servers drop a pooled connection after 90 s without use; dropping it first could meet a request on its way. */
const KEEP_ALIVE_TIMEOUT_MS = 95_000
/** No API server waits longer than the webhook's `timeoutSeconds`, 30 at most. */
const REQUEST_TIMEOUT_MS = 30_000
const HANDSHAKE_TIMEOUT_MS = 10_000
const MAX_CONNECTIONS = 2000

/** HTTPS for the API server: one path, a synchronous handler, certificates that change while it serves. */
export function createWebhookServer<R extends ReviewResult>(options: WebhookServerOptions<R>): WebhookServer {
  const { listen, review, clock, log } = options
  const gate = createLoadGate(options.limits ?? DEFAULT_LIMITS)
  const sockets = new Set<Duplex>()
  let state: 'new' | 'serving' | 'draining' = 'new'
  let stopped: Promise<void> | undefined

  const app = Fastify<Server, IncomingMessage, ServerResponse>({
    https: { minVersion: TLS_MIN_VERSION, handshakeTimeout: HANDSHAKE_TIMEOUT_MS },
    bodyLimit: MAX_BODY_BYTES,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    exposeHeadRoutes: false,
    // We close the server before Fastify: its own refusals while closing would be failed calls.
    return503OnClosing: false,
  })
  app.server.headersTimeout = REQUEST_TIMEOUT_MS
  app.server.maxConnections = MAX_CONNECTIONS
  app.server.on('connection', socket => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  app.server.on('tlsClientError', () => options.onHandshakeFailure())

  // Not in a WeakMap: V8's young generation keeps its values alive, so that each answer would grow old.
  app.decorateReply('answered')
  app.addHook('onRequest', (request, reply, done) => {
    const startedMs = clock.monotonicMs()
    const bytes = Math.min(Number(request.headers['content-length'] ?? MAX_BODY_BYTES), MAX_BODY_BYTES)
    const entered = gate.enter(bytes)
    reply.raw.once('close', () => {
      if (entered) gate.leave(bytes)
      report(reply, clock.monotonicMs() - startedMs)
    })
    if (entered) done()
    // The API server then asks again within the same admission, perhaps another replica.
    else void reply.code(503).header('retry-after', '1').send({ error: 'too many requests at once' })
  })
  app.addHook('onSend', (_request, reply, payload, done) => {
    if (state === 'draining') void reply.header('connection', 'close')
    done(null, payload)
  })
  // Without this Fastify would take text/plain, too.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, bytes, done) => done(null, bytes))
  app.setErrorHandler<FastifyError>((error, _request, reply) => {
    const status = error.statusCode ?? 500
    if (status >= 500) log.error({ err: error }, 'a request failed in an unexpected way')
    void reply.code(status).send({ error: status >= 500 ? 'internal error' : error.message })
  })
  app.post(MUTATE_PATH, (request, reply) => {
    const parsed = Buffer.isBuffer(request.body) ? parseBody(request.body) : { problem: 'there is no body' }
    if ('problem' in parsed) return reply.code(400).send({ error: parsed.problem })
    const answered = answerTo(parsed.value, review)
    ;(reply as Answering<R>).answered = answered
    if (answered.error !== undefined)
      log.error({ err: answered.error }, 'a review failed; the request is admitted as it is')
    return reply.code(answered.status).type('application/json').send(answered.text)
  })

  function report(reply: FastifyReply, durationMs: number): void {
    const { answered } = reply as Answering<R>
    const outcome = outcomeOf(reply.raw, answered?.error !== undefined)
    try {
      options.onExchange({ outcome, durationMs, result: answered?.result })
    } catch (error) {
      log.error({ err: error }, 'an exchange could not be recorded')
    }
  }

  function useCertificate(pair: ServingPair): string | undefined {
    const verdict = verifyPair(pair, { nowMs: clock.wallMs() })
    if (!verdict.good) {
      log.error({ problem: verdict.problem }, 'a certificate is refused; the one before it stays')
      return verdict.problem
    }
    app.server.setSecureContext({ cert: pair.certificate, key: pair.key, minVersion: TLS_MIN_VERSION })
    return undefined
  }

  function address(): { host: string; port: number } | undefined {
    const bound = app.server.listening ? app.server.address() : null
    return bound === null || typeof bound === 'string' ? undefined : { host: bound.address, port: bound.port }
  }

  async function drain(): Promise<void> {
    const wasServing = state === 'serving'
    state = 'draining'
    if (wasServing) {
      const lagMs = options.endpointLagMs ?? DEFAULT_ENDPOINT_LAG_MS
      log.info({ lagMs, connections: sockets.size }, 'draining: still answering until no more calls are sent here')
      await clock.sleep(lagMs)
      await closeConnections()
    }
    await app.close()
    log.info({}, 'the webhook no longer listens')
  }

  /** Ends idle connections at once and others after their answer, or after the grace. */
  function closeConnections(): Promise<void> {
    return new Promise(resolve => {
      const cancel = clock.after(CLOSE_GRACE_MS, () => {
        log.warn({ connections: sockets.size }, 'connections that do not end are cut')
        for (const socket of sockets) socket.destroy()
      })
      app.server.close(() => {
        cancel()
        resolve()
      })
    })
  }

  return {
    start: async pair => {
      const problem = useCertificate(pair)
      if (problem !== undefined) throw new Error(`the webhook cannot serve with its certificate: ${problem}`)
      await app.ready()
      if (stopped !== undefined) throw new Error('the webhook was stopped before it listened')
      // Fastify's own `listen` knows no address that means IPv6 and IPv4 alike, wherever there is only one of them.
      app.server.listen(listen)
      await once(app.server, 'listening')
      state = 'serving'
      log.info(
        { address: formatListenAddress({ ...listen, port: address()?.port ?? listen.port }) },
        'listening for reviews',
      )
    },
    useCertificate,
    stop: () => (stopped ??= drain()),
    ready: () => {
      if (state === 'draining') return 'draining'
      return state === 'serving' ? true : 'not listening yet'
    },
    address,
    load: () => gate.load,
  }
}
