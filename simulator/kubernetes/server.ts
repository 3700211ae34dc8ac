import { once } from 'node:events'
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import { systemClock } from '../../lib/service/clock.ts'
import { warningHeader } from './answers.ts'
import { createLoopbackCertificate } from './certificate.ts'
import { createKubernetes, type KubernetesCore, type KubernetesOptions } from './core.ts'
import type { Faults } from './faults.ts'
import type { KubernetesState } from './state.ts'

export interface SimulatedKubernetes {
  /** `https://127.0.0.1:PORT` */
  url: string
  /** The certificate that clients trust. */
  caPem: string
  state: KubernetesState
  faults: Faults
  /** A kubeconfig for a bearer token. */
  kubeconfig(token: string, namespace?: string): string
  /** Breaks every connection and refuses new ones; objects stay. */
  stop(): Promise<void>
  /** Listens again where it did before. */
  start(): Promise<void>
  /** Open connections, whatever they are used for. */
  connectionCount(): number
  /** Breaks every connection and ends every wait. Safe to call twice. */
  close(): Promise<void>
}

/** Serves a simulated Kubernetes API over TLS on a loopback socket; port 0 (the default) picks a free one. */
export async function startKubernetes(
  options: KubernetesOptions & { port?: number } = {},
): Promise<SimulatedKubernetes> {
  const { clock = systemClock } = options
  const host = '127.0.0.1'
  const core = createKubernetes(options)
  const { certificatePem, keyPem } = createLoopbackCertificate(clock.wallMs())
  let connections = 0
  let server: Server | undefined
  let port = options.port ?? 0

  const listen = async () => {
    const started = createServer({ cert: certificatePem, key: keyPem, keepAliveTimeout: 0 }, (request, response) => {
      serve(core, request, response).catch(() => request.socket.destroy())
    })
    started.on('secureConnection', socket => {
      connections++
      socket.once('close', () => connections--)
    })
    started.listen(port, host)
    await once(started, 'listening')
    port = (started.address() as AddressInfo).port
    server = started
  }
  const stop = async () => {
    const stopped = server
    server = undefined
    if (!stopped) return
    const ended = once(stopped, 'close')
    stopped.close()
    stopped.closeAllConnections()
    await ended
  }
  await listen()
  const url = `https://${host}:${port}`
  return {
    url,
    caPem: certificatePem,
    state: core.state,
    faults: core.faults,
    kubeconfig: (token, namespace = 'default') => kubeconfig(url, certificatePem, token, namespace),
    stop,
    start: listen,
    connectionCount: () => connections,
    close: async () => {
      core.close()
      await stop()
    },
  }
}

/** Rejects when the connection is to break or the caller went away; there is nothing left to answer then. */
async function serve(core: KubernetesCore, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const gone = new AbortController()
  response.once('close', () => gone.abort(new Error('the caller went away')))
  const body = await readText(request)
  const headers = Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(', ') : (value ?? ''),
    ]),
  )
  const answer = await core.handle({
    method: request.method ?? 'GET',
    path: request.url ?? '/',
    headers,
    body,
    signal: gone.signal,
  })
  // Header values are bytes; Node writes a string's low bytes.
  const warnings = (answer.warnings ?? []).map(text => Buffer.from(warningHeader(text)).toString('latin1'))
  const shared: OutgoingHttpHeaders = { ...answer.headers, 'cache-control': 'no-cache, private' }
  if (warnings.length > 0) response.setHeader('warning', warnings)
  if (!answer.events) {
    const content = Buffer.from(answer.body)
    response.writeHead(answer.status, { ...shared, 'content-length': content.length }).end(content)
    return
  }
  response.writeHead(answer.status, shared)
  response.flushHeaders()
  for await (const line of answer.events) response.write(line)
  response.end()
}

function kubeconfig(url: string, caPem: string, token: string, namespace: string): string {
  const ca = Buffer.from(caPem).toString('base64')
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'simulated', cluster: { server: url, 'certificate-authority-data': ca } }],
    users: [{ name: 'simulated', user: { token } }],
    contexts: [{ name: 'simulated', context: { cluster: 'simulated', user: 'simulated', namespace } }],
    'current-context': 'simulated',
  })
}
