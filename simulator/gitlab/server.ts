import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import { systemClock, type Clock } from '../../lib/service/clock.ts'
import { createGitLab, type GitLabCore, type GitLabOptions } from './core.ts'
import type { Faults } from './faults.ts'
import type { GitLabState } from './state.ts'

export interface SimulatedGitLab {
  /** Origin and relative root, without a slash at the end. */
  url: string
  state: GitLabState
  faults: Faults
  /** Breaks every connection and ends every wait. Safe to call twice. */
  close(): Promise<void>
}

/** Serves a simulated GitLab on a loopback socket; port 0 (the default) picks a free one. */
export async function startGitLab(
  options: GitLabOptions & { port?: number; host?: string } = {},
): Promise<SimulatedGitLab> {
  const { port = 0, host = '127.0.0.1', clock = systemClock, relativeRoot = '' } = options
  const core = createGitLab(options)
  const server = createServer((request, response) => {
    serve(core, clock, request, response).catch(() => request.socket.destroy())
  })
  server.listen(port, host)
  await once(server, 'listening')
  const url = `http://${host}:${(server.address() as AddressInfo).port}${relativeRoot}`
  core.setExternalUrl(url)
  let closed: Promise<unknown> | undefined
  const close = () => {
    core.close()
    const ended = once(server, 'close')
    server.close()
    server.closeAllConnections()
    return ended
  }
  return {
    url,
    state: core.state,
    faults: core.faults,
    close: async () => {
      await (closed ??= close())
    },
  }
}

/** Rejects when the connection is to break or the caller went away; there is nothing left to answer then. */
async function serve(core: GitLabCore, clock: Clock, request: IncomingMessage, response: ServerResponse) {
  const gone = new AbortController()
  response.once('close', () => gone.abort(new Error('the caller went away')))
  const body = await readText(request)
  const answer = await core.handle({
    method: request.method ?? 'GET',
    path: request.url ?? '/',
    headers: singleHeaders(request),
    body,
    remoteAddress: request.socket.remoteAddress ?? '127.0.0.1',
    signal: gone.signal,
  })
  const content = Buffer.from(answer.body)
  const hasBody = answer.status !== 204 && request.method !== 'HEAD'
  response.writeHead(answer.status, { ...answer.headers, ...(hasBody && { 'content-length': content.length }) })
  switch (answer.delivery?.kind) {
    case undefined:
      response.end(hasBody ? content : undefined)
      break
    case 'truncated':
      response.write(content.subarray(0, Math.floor(content.length / 2)), () => request.socket.destroy())
      break
    case 'drip': {
      const { chunkBytes, everyMs } = answer.delivery
      for (let at = 0; at < content.length; at += chunkBytes) {
        response.write(content.subarray(at, at + chunkBytes))
        await clock.sleep(everyMs, gone.signal)
      }
      response.end()
      break
    }
  }
}

function singleHeaders({ headers }: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value]],
    ),
  )
}
