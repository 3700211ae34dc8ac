import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { ListenAddress } from '../../lib/service/listen-address.ts'
import type { Log } from '../../lib/service/log.ts'

/** What of a job event is used. */
export interface JobEvent {
  /** The job's tags; undefined: this GitLab does not tell. */
  tags: readonly string[] | undefined
}

export interface HookServerOptions {
  listen: ListenAddress
  /** The secret that GitLab sends, asked for each event; undefined refuses all. */
  token: () => Promise<string | undefined>
  /** Says whether the event matters here. */
  onEvent: (event: JobEvent) => boolean
  count: (result: 'taken' | 'ignored' | 'refused') => void
  log: Log
}

export interface HookServer {
  /** Rejects when the address is taken. */
  start(): Promise<void>
  stop(): Promise<void>
  address(): { port: number } | undefined
}

const PATH = '/hooks/jobs'
/** GitLab's job events are a few KiB. */
const MAX_BODY_BYTES = 256 * 1024
const MAX_CONNECTIONS = 32
/** Job events that mean that a runner is wanted. */
const WAITING = new Set(['created', 'pending'])

/**
 * Takes GitLab's job events: `POST /hooks/jobs` with `X-Gitlab-Token`. An event is a hint only: it may be lost, come twice or
 * be made up, so all it does is make a fleet look a little earlier. Every event with the right token is answered 204, also
 * one that does not matter, because GitLab switches off webhooks that fail.
 */
export function createHookServer({ listen, token, onEvent, count, log }: HookServerOptions): HookServer {
  const server = createServer((request, response) => {
    take(request, response).catch((error: unknown) => {
      log.debug({ err: error }, 'a job event could not be read')
      response.destroy()
    })
  })
  server.maxConnections = MAX_CONNECTIONS
  server.headersTimeout = 5_000
  server.requestTimeout = 10_000
  server.on('clientError', (_error, socket) => socket.destroy())

  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refuse = (status: number, why: string) => {
      count('refused')
      request.resume()
      response.writeHead(status, { 'content-type': 'text/plain', connection: 'close' }).end(`${why}\n`)
    }
    const refusal = await refusalOf(request)
    if (refusal) {
      refuse(...refusal)
      return
    }
    const body = await readBody(request)
    if (body === undefined) {
      refuse(413, `at most ${MAX_BODY_BYTES} bytes`)
      return
    }
    const event = readJobEvent(body)
    count(event !== undefined && onEvent(event) ? 'taken' : 'ignored')
    response.writeHead(204).end()
  }

  async function refusalOf({ url, method, headers }: IncomingMessage): Promise<[number, string] | undefined> {
    if (url?.split('?')[0] !== PATH) return [404, `nothing here but ${PATH}`]
    if (method !== 'POST') return [405, 'POST only']
    const wanted = await token().catch(() => undefined)
    const given = headers['x-gitlab-token']
    const right = wanted !== undefined && wanted !== '' && typeof given === 'string' && sameSecret(given, wanted)
    return right ? undefined : [401, 'wrong token']
  }

  return {
    start: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen({ port: listen.port, ...(listen.host === undefined ? {} : { host: listen.host }) }, () => {
          server.off('error', reject)
          server.on('error', error => log.error({ err: error }, 'the hook server failed'))
          resolve()
        })
      }),
    stop: () =>
      new Promise(resolve => {
        if (!server.listening) {
          resolve()
          return
        }
        server.close(() => resolve())
        server.closeAllConnections()
      }),
    address: () => {
      const address = server.address()
      return typeof address === 'object' && address !== null ? { port: address.port } : undefined
    },
  }
}

/** The part of a job event that is used; undefined when it is none, or of a job that waits for no runner. */
export function readJobEvent(body: string): JobEvent | undefined {
  let event: unknown
  try {
    event = JSON.parse(body)
  } catch {
    return undefined
  }
  if (typeof event !== 'object' || event === null) return undefined
  const { object_kind: kind, build_status: status, tags, tag_list: tagList } = event as Record<string, unknown>
  if (kind !== 'build' || typeof status !== 'string' || !WAITING.has(status)) return undefined
  const list = Array.isArray(tags) ? tags : tagList
  const words = Array.isArray(list) ? list.filter(word => typeof word === 'string') : undefined
  return { tags: words }
}

/** In a time that tells nothing of the secret, nor of its length. */
function sameSecret(given: string, wanted: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(wanted))
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
