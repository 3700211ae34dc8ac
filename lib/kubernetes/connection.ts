import { readFile } from 'node:fs/promises'
import { KubeConfig, RequestContext } from '@kubernetes/client-node'
import { Agent, request } from 'undici'
import { withDeadline, type Clock } from '../service/clock.ts'
import { errorOfAnswer, KubernetesError } from './errors.ts'

/** A call's own deadline; the API server answers in milliseconds or is in trouble. */
const CALL_DEADLINE_MS = 4000
/** An API object is at most 3 MiB; a page of pods is far smaller than this. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024
/** One line of a watch holds one object. */
const MAX_LINE_CHARACTERS = 4 * 1024 * 1024

export interface Call {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Below the server's address, without a query. */
  path: string
  /** What it is about, for people: `secrets/hadr-ca`. */
  subject: string
  query?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  body?: unknown
  contentType?: string
  signal?: AbortSignal
}

/** One API server over one pool of connections. Every method rejects with KubernetesError and nothing else. */
export interface Connection {
  /** The parsed answer of a success. `deadlineMs` bounds the whole exchange. */
  call(call: Call, deadlineMs?: number): Promise<unknown>
  /**
   * Lines of an answer as they come, until it ends. The deadline holds for the headers only: the caller bounds silence
   * through its signal.
   */
  lines(call: Call): AsyncIterable<string>
  /** Breaks what is open. */
  close(): Promise<void>
}

export interface ConnectionOptions {
  kubeConfig: KubeConfig
  clock: Clock
  userAgent: string
  callDeadlineMs?: number
}

/**
 * The configuration of the kubeconfig `file`, or without one that of the service account inside a cluster. Throws where
 * there is neither. A kubeconfig in the home folder is not looked for: programs that write must be pointed at a cluster.
 */
export function loadKubeConfig(
  file: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): KubeConfig {
  const config = new KubeConfig()
  if (file !== undefined) config.loadFromFile(file)
  else if (env['KUBERNETES_SERVICE_HOST'] !== undefined) config.loadFromCluster()
  else throw new Error('this is no pod of a cluster, and no kubeconfig is given')
  return config
}

/** A configuration from the text of a kubeconfig. */
export function parseKubeConfig(text: string): KubeConfig {
  const config = new KubeConfig()
  config.loadFromString(text)
  return config
}

/**
 * The client library makes a TLS connection for each request and has no deadline; here its configuration and its
 * authentication are used, and the requests go through one pool.
 */
export async function openConnection(options: ConnectionOptions): Promise<Connection> {
  const { kubeConfig, clock, userAgent, callDeadlineMs = CALL_DEADLINE_MS } = options
  const cluster = kubeConfig.getCurrentCluster()
  if (!cluster) throw new KubernetesError('refused', 'configuration', 'names no cluster: check the kubeconfig')
  const agent = new Agent({ connect: await tlsOf(kubeConfig), keepAliveTimeout: 30_000, connections: 8 })
  const server = cluster.server.replace(/\/$/, '')

  async function send(call: Call, signal: AbortSignal) {
    const url = `${server}${call.path}${call.query ? `?${new URLSearchParams(call.query).toString()}` : ''}`
    const context = new RequestContext(url, call.method)
    await kubeConfig.applySecurityAuthentication(context)
    const headers = { ...context.getHeaders(), accept: 'application/json', 'user-agent': userAgent }
    return request(url, {
      method: call.method,
      dispatcher: agent,
      signal,
      headersTimeout: 0,
      bodyTimeout: 0,
      headers: {
        ...headers,
        ...(call.body !== undefined && { 'content-type': call.contentType ?? 'application/json' }),
      },
      ...(call.body !== undefined && { body: JSON.stringify(call.body) }),
    })
  }

  async function call(wanted: Call, deadlineMs = callDeadlineMs): Promise<unknown> {
    const subject = `${wanted.method} ${wanted.subject}`
    let answer: { status: number; retryAfter: string | undefined; text: string }
    try {
      answer = await withDeadline(
        clock,
        deadlineMs,
        async signal => {
          const { statusCode, headers, body } = await send(wanted, signal)
          const text = await readBounded(body)
          return { status: statusCode, retryAfter: headers['retry-after']?.toString(), text }
        },
        wanted.signal,
      )
    } catch (error) {
      throw lost(subject, error)
    }
    const { status, retryAfter, text } = answer
    if (status < 200 || status >= 300) throw errorOfAnswer(subject, status, text, retryAfter)
    try {
      return JSON.parse(text) as unknown
    } catch (cause) {
      const detail = `answered ${status} with ${text.length} characters that are no JSON`
      throw new KubernetesError('invalid_answer', subject, detail, { status, cause })
    }
  }

  async function* lines(wanted: Call): AsyncGenerator<string> {
    const subject = `${wanted.method} ${wanted.subject}`
    const ending = new AbortController()
    const stop = () => ending.abort(new Error('given up'))
    wanted.signal?.addEventListener('abort', stop, { once: true })
    if (wanted.signal?.aborted) stop()
    const cancel = clock.after(callDeadlineMs, () => ending.abort(new Error(`no answer within ${callDeadlineMs} ms`)))
    try {
      const { statusCode, headers, body } = await send(wanted, ending.signal)
      cancel()
      if (statusCode !== 200) {
        throw errorOfAnswer(subject, statusCode, await readBounded(body), headers['retry-after']?.toString())
      }
      yield* splitLines(body)
    } catch (error) {
      throw lost(subject, error)
    } finally {
      cancel()
      wanted.signal?.removeEventListener('abort', stop)
      stop()
    }
  }

  return { call, lines, close: () => agent.destroy() }
}

async function tlsOf(kubeConfig: KubeConfig) {
  const cluster = kubeConfig.getCurrentCluster()
  const user = kubeConfig.getCurrentUser()
  const pick = async (data: string | undefined, file: string | undefined) => {
    if (data !== undefined && data !== '') return Buffer.from(data, 'base64').toString('utf8')
    return file === undefined || file === '' ? undefined : await readFile(file, 'utf8')
  }
  const ca = await pick(cluster?.caData, cluster?.caFile)
  const cert = await pick(user?.certData, user?.certFile)
  const key = await pick(user?.keyData, user?.keyFile)
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(cluster?.skipTLSVerify === true && { rejectUnauthorized: false }),
    ...(cluster?.tlsServerName !== undefined && { servername: cluster.tlsServerName }),
  }
}

async function readBounded(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`the answer is longer than ${MAX_ANSWER_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

async function* splitLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of body) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = parts.pop() ?? ''
    if (rest.length > MAX_LINE_CHARACTERS) throw new Error(`a line is longer than ${MAX_LINE_CHARACTERS} characters`)
    yield* parts.filter(part => part !== '')
  }
}

function lost(subject: string, error: unknown): KubernetesError {
  if (error instanceof KubernetesError) return error
  const detail = error instanceof Error ? error.message : 'the exchange failed'
  return new KubernetesError('unavailable', subject, detail, { cause: error })
}
