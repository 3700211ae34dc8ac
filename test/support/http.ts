import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import { TransportError, type HttpTransport } from '../../lib/http/transport.ts'

/** A loopback server that ends with the test. Returns `http://127.0.0.1:PORT`. */
export async function startServer(
  t: Test,
  handle: (request: IncomingMessage, response: ServerResponse, body: string) => void,
): Promise<string> {
  const server = createServer((request, response) => {
    void text(request).then(body => handle(request, response, body))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    return new Promise(resolve => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Answers every request with the same JSON. */
export function answerJson(status: number, body: unknown) {
  return (_request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }
}

/** The transport's contract over node:http, for tests that are not about transports. */
export const plainTransport: HttpTransport = ({ method, url, headers, body, signal, maxResponseBytes }) =>
  new Promise((resolve, reject) => {
    const fail = (error: unknown) =>
      reject(
        signal.aborted || error instanceof TransportError
          ? ((signal.aborted ? signal.reason : error) as Error)
          : new TransportError('network', 'the connection failed', { cause: error }),
      )
    const outgoing = request(url, { method, headers, signal, agent: false }, response => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('error', fail)
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        bytes += chunk.length
        if (bytes > maxResponseBytes)
          response.destroy(new TransportError('too_large', `more than ${maxResponseBytes} bytes`))
      })
      response.on('end', () => {
        const received = Object.entries(response.headers).map(([name, value]) => [name, String(value)])
        resolve({
          status: response.statusCode ?? 0,
          headers: Object.fromEntries(received) as Record<string, string>,
          body: Buffer.concat(chunks).toString('utf8'),
        })
      })
    })
    outgoing.on('error', fail)
    outgoing.end(body)
  })
