import http, { type ClientRequest, type IncomingMessage } from 'node:http'
import https from 'node:https'
import { createAgents, type Agents } from './agents.ts'
import { isStaleConnection, tooLarge, transportFailure } from './failure.ts'
import type { HttpRequest, HttpResponse, HttpTransport, TransportOptions } from './transport.ts'

/**
 * A transport of nothing but Node's own HTTP client, for a program whose memory counts. `close` ends its connections.
 * A proxy is not supported.
 */
export function createNodeTransport(options: TransportOptions = {}): HttpTransport & { close(): void } {
  const agents = createAgents(options)
  const transport: HttpTransport = async request => {
    const first = await exchange(request, agents)
    const last = first.stale ? await exchange(request, agents) : first
    if ('failure' in last) throw last.failure
    return last.response
  }
  return Object.assign(transport, { close: () => agents.close() })
}

type Exchange = { response: HttpResponse; stale: false } | { failure: Error; stale: boolean }

function exchange(request: HttpRequest, agents: Agents): Promise<Exchange> {
  return new Promise(resolve => {
    const { signal } = request
    let sent: ClientRequest | undefined
    let answered = false

    const settle = (result: Exchange) => {
      signal.removeEventListener('abort', onAbort)
      resolve(result)
    }
    const fail = (error: unknown) => {
      const stale = !answered && isStaleConnection(error, request, sent?.reusedSocket ?? false)
      settle({ failure: transportFailure(error, request), stale })
      sent?.destroy()
    }
    const onAbort = () => fail(signal.reason)

    if (signal.aborted) {
      onAbort()
      return
    }
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      sent = start(request, agents)
    } catch (error) {
      fail(error)
      return
    }
    sent.on('error', fail)
    sent.on('response', message => {
      answered = true
      readBody(message, request, fail, body =>
        settle({ response: { status: message.statusCode ?? 0, headers: flatten(message), body }, stale: false }),
      )
    })
    sent.end(request.body)
  })
}

function start({ method, url, headers }: HttpRequest, agents: Agents): ClientRequest {
  const target = new URL(url)
  // Without this a server may compress, and the size limit would count the wrong bytes.
  const options = { method, headers: { 'accept-encoding': 'identity', ...headers } }
  return target.protocol === 'https:'
    ? https.request(target, { ...options, agent: agents.https })
    : http.request(target, { ...options, agent: agents.http })
}

function readBody(
  message: IncomingMessage,
  request: HttpRequest,
  fail: (error: unknown) => void,
  done: (body: string) => void,
): void {
  const announced = Number(message.headers['content-length'] ?? 0)
  if (announced > request.maxResponseBytes && request.method !== 'HEAD') {
    fail(tooLarge(request))
    return
  }
  const chunks: Buffer[] = []
  let bytes = 0
  message.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > request.maxResponseBytes) fail(tooLarge(request))
    else chunks.push(chunk)
  })
  message.on('error', fail)
  message.on('end', () => done(new TextDecoder().decode(Buffer.concat(chunks))))
}

function flatten({ headers }: IncomingMessage): Record<string, string> {
  const flat: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name] = Array.isArray(value) ? value.join(', ') : value
  }
  return flat
}
