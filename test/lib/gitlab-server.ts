import { once } from 'node:events'
import http, { type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Test } from 'tap'
import type { GitLabClientOptions } from '../../lib/gitlab/access.ts'
import { createGitLabClient } from '../../lib/gitlab/client.ts'
import { GitLabError, type GitLabClient } from '../../lib/gitlab/types.ts'
import { createNodeTransport } from '../../lib/http/node-transport.ts'
import { systemClock, type Clock } from '../../lib/service/clock.ts'

export const TOKEN = 'glpat-0123456789abcdef'

export interface Received {
  method: string
  /** Path and query. */
  path: string
  headers: http.IncomingHttpHeaders
  body: string
}

/** A loopback server that answers with `handler` and keeps what it received. */
export async function startServer(t: Test, handler: (request: Received, response: ServerResponse) => void) {
  const requests: Received[] = []
  const sockets = new Set<Socket>()
  const server = http.createServer((message, response) => {
    let body = ''
    message.on('data', (chunk: Buffer) => (body += chunk.toString()))
    message.on('end', () => {
      const { method = '', url = '', headers } = message
      const received = { method, path: url, headers, body }
      requests.push(received)
      handler(received, response)
    })
  })
  server.on('connection', socket => sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests }
}

export function sendJson(response: ServerResponse, body: unknown, status = 200, headers: object = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

export function createClient(t: Test, url: string, more: Partial<GitLabClientOptions> = {}): GitLabClient {
  const transport = createNodeTransport()
  t.teardown(() => transport.close())
  const token = () => Promise.resolve(TOKEN)
  return createGitLabClient({ url, transport, token, clock: systemClock, random: () => 0, ...more })
}

/** The real clock, whose two readings a test can move on; waiting stays real. */
export function shiftableClock(): Clock & { shiftMs: number } {
  const clock = {
    ...systemClock,
    shiftMs: 0,
    monotonicMs: () => systemClock.monotonicMs() + clock.shiftMs,
    wallMs: () => systemClock.wallMs() + clock.shiftMs,
  }
  return clock
}

/** What a call rejects with; it must be a GitLabError. */
export async function errorOf(call: Promise<unknown>): Promise<GitLabError> {
  const outcome = await call.then(
    value => ({ value }),
    (error: unknown) => ({ error }),
  )
  if ('error' in outcome && outcome.error instanceof GitLabError) return outcome.error
  throw new Error(`expected a GitLabError, got ${JSON.stringify(outcome)}`, { cause: outcome })
}

/** The answer of `GET /runners/12`. */
export const RUNNER_12 = {
  id: 12,
  description: 'runner a',
  paused: false,
  online: true,
  status: 'online',
  tag_list: ['runner-a', 'main'],
  locked: false,
  contacted_at: '2026-01-02T03:04:05.678Z',
}
