import { Agent, request, type RequestOptions } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { X509Certificate } from 'node:crypto'
import { connect, checkServerIdentity, type PeerCertificate } from 'node:tls'
import { gunzipSync } from 'node:zlib'
import type { Clock } from '../../../lib/service/clock.ts'
import { asNumber, asRecord, asString, type KubeObject } from '../values.ts'
import { CallFailed } from './review.ts'
import { goErrorOf, statusProblem } from './call-errors.ts'

/** Where a Service's traffic goes. Each new connection asks again, so that a stopped replica is left out. */
export type Endpoint = () => { host: string; port: number } | undefined

const MAX_REDIRECTS = 10
const MAX_RETRIES = 10

interface Exchange {
  status: number
  headers: IncomingMessage['headers']
  body: Buffer
}

interface Target {
  url: URL
  serverName: string
  endpoint: Endpoint | undefined
  caBundle: string
}

/**
 * Calls webhooks over TLS as the API server does: connections are pooled per CA bundle and host, redirects followed,
 * answers with `Retry-After` repeated, all within `timeoutSeconds`. Unlike the server it never speaks HTTP/2.
 */
export class WebhookCaller {
  readonly #clock: Clock
  readonly #agents = new Map<string, Agent>()
  readonly #services = new Map<string, Endpoint>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Makes a Service known; `endpoint` answers undefined while it has no ready pod. */
  addService(namespace: string, name: string, endpoint: Endpoint): void {
    this.#services.set(`${namespace}/${name}`, endpoint)
  }

  /** The body of a 2xx answer. Rejects with CallFailed. */
  async call(webhook: KubeObject, review: string): Promise<string> {
    const target = this.#target(webhook)
    const timeoutMs = (asNumber(webhook['timeoutSeconds']) ?? 10) * 1000
    const deadline = new AbortController()
    const cancel = this.#clock.after(timeoutMs, () => deadline.abort(new Error('context deadline exceeded')))
    try {
      return await this.#insist(target, review, deadline.signal)
    } finally {
      cancel()
    }
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy()
    this.#agents.clear()
  }

  async #insist(target: Target, review: string, signal: AbortSignal): Promise<string> {
    for (let attempt = 0; ; attempt++) {
      const { status, headers, body } = await this.#followed(target, review, signal)
      const wait = Number(headers['retry-after'] ?? Number.NaN)
      const again = (status === 429 || status >= 500) && wait >= 0 && attempt < MAX_RETRIES
      if (!again) return understand(status, headers, body)
      try {
        await this.#clock.sleep(wait * 1000, signal)
      } catch {
        throw lost(target.url, 'context deadline exceeded')
      }
    }
  }

  async #followed(target: Target, review: string, signal: AbortSignal): Promise<Exchange> {
    let url = target.url
    let method: 'POST' | 'GET' = 'POST'
    for (let hop = 0; hop < MAX_REDIRECTS; hop++) {
      const answer = await this.#exchange({ ...target, url }, method, review, signal)
      const location = answer.headers.location
      if (![301, 302, 303, 307, 308].includes(answer.status) || location === undefined) return answer
      if (answer.status < 307) method = 'GET'
      url = new URL(location, url)
    }
    throw lost(url, `stopped after ${MAX_REDIRECTS} redirects`)
  }

  #exchange(target: Target, method: string, review: string, signal: AbortSignal): Promise<Exchange> {
    const { url } = target
    return new Promise((resolve, reject) => {
      let answered = false
      const fail = (error: unknown) => {
        const why = signal.aborted ? 'context deadline exceeded' : goErrorOf(error)
        if (!answered) reject(lost(url, why))
        else {
          const original = signal.aborted ? why : 'unexpected EOF'
          reject(
            new CallFailed(
              `failed to call webhook: unexpected error when reading response body. Please retry. Original error: ${original}`,
            ),
          )
        }
      }
      let agent: Agent
      try {
        agent = this.#agent(target)
      } catch (error) {
        reject(error instanceof Error ? error : new Error('no TLS client'))
        return
      }
      const options: RequestOptions = { method, agent, signal, headers: headersOf(url, method, review) }
      const outgoing = request(url, options, response => {
        answered = true
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', fail)
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) })
        })
      })
      outgoing.on('error', fail)
      outgoing.end(method === 'POST' ? review : undefined)
    })
  }

  #target(webhook: KubeObject): Target {
    const client = asRecord(webhook['clientConfig']) ?? {}
    const caBundle = asString(client['caBundle']) ?? ''
    const service = asRecord(client['service'])
    const query = `timeout=${asNumber(webhook['timeoutSeconds']) ?? 10}s`
    if (!service) {
      const url = new URL(asString(client['url']) ?? '')
      url.search = query
      return { url, serverName: url.hostname, endpoint: undefined, caBundle }
    }
    const name = asString(service['name']) ?? ''
    const namespace = asString(service['namespace']) ?? ''
    const serverName = `${name}.${namespace}.svc`
    const port = asNumber(service['port']) ?? 443
    const url = new URL(`https://${serverName}:${port}${asString(service['path']) ?? '/'}?${query}`)
    const endpoint = this.#services.get(`${namespace}/${name}`)
    if (!endpoint) {
      const shown = `https://${serverName}:${port}${asString(service['path']) ?? '/'}?${query}`
      throw new CallFailed(`failed to call webhook: Post "${shown}": service "${name}" not found`)
    }
    return { url, serverName, endpoint, caBundle }
  }

  /** A changed CA bundle is a new client with connections of its own. */
  #agent({ url, serverName, endpoint, caBundle }: Target): Agent {
    const key = `${caBundle} ${url.host}`
    const present = this.#agents.get(key)
    if (present) return present
    const ca = caBundle === '' ? undefined : trusted(Buffer.from(caBundle, 'base64').toString('latin1'))
    const agent = new Agent({ keepAlive: true, maxFreeSockets: 100 })
    agent.createConnection = () => {
      const at = endpoint ? endpoint() : { host: url.hostname, port: Number(url.port === '' ? 443 : url.port) }
      const refused = endpoint !== undefined && at === undefined
      const socket = connect({
        host: at?.host ?? '127.0.0.1',
        // Port 1 refuses, as a Service without ready pods does.
        port: refused ? 1 : (at?.port ?? 0),
        servername: /^[\d.:]+$/.test(serverName) ? '' : serverName,
        ...(ca && { ca }),
        ALPNProtocols: ['http/1.1'],
        checkServerIdentity: (_host: string, certificate: PeerCertificate) => identityProblem(serverName, certificate),
      })
      // Without this an idle connection would keep a finished program alive.
      socket.once('free', () => socket.unref())
      return socket
    }
    this.#agents.set(key, agent)
    return agent
  }
}

function headersOf(url: URL, method: string, review: string): Record<string, string> {
  return {
    Host: url.host,
    'User-Agent': 'kube-apiserver-admission',
    ...(method === 'POST' && { 'Content-Length': String(Buffer.byteLength(review)) }),
    Accept: 'application/json, */*',
    'Content-Type': 'application/json',
    'Accept-Encoding': 'gzip',
  }
}

function understand(status: number, headers: IncomingMessage['headers'], raw: Buffer): string {
  const body = (headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw).toString('utf8')
  if (status < 200 || status > 206) {
    throw new CallFailed(`failed to call webhook: ${statusProblem(status, headers['content-type'] ?? '', body)}`)
  }
  if (body !== '') return body
  const type = headers['content-type'] ?? 'application/json'
  throw new CallFailed(
    `failed to call webhook: 0-length response with status code: ${status} and content type: ${type}`,
  )
}

function lost(url: URL, why: string): CallFailed {
  return new CallFailed(`failed to call webhook: Post "${url.href}": ${why}`)
}

/** The good certificates of a bundle; a broken block does no harm beside a good one. */
function trusted(bundle: string): string[] {
  const blocks = bundle.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  const good = blocks.filter(block => {
    try {
      return new X509Certificate(block).raw.length > 0
    } catch {
      return false
    }
  })
  if (good.length > 0) return good
  throw new CallFailed(
    'could not get REST client: unable to load root certificates: unable to parse bytes as PEM block',
  )
}

/** Go does not look at the common name. */
function identityProblem(host: string, certificate: PeerCertificate): Error | undefined {
  if (certificate.subjectaltname === undefined) {
    return new Error('x509: certificate relies on legacy Common Name field, use SANs instead')
  }
  return checkServerIdentity(host, certificate)
}
