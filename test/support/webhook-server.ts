import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import type { TestLeaf } from './authority.ts'

export interface WebhookServer {
  port: number
  /** TLS connections that were made so far. */
  connections(): number
}

/** A TLS server on loopback that ends with the test; `answer` gets the whole body. */
export async function startWebhook(
  t: Test,
  leaf: TestLeaf,
  answer: (request: IncomingMessage, response: ServerResponse, body: string) => void,
): Promise<WebhookServer> {
  let connections = 0
  const server = createServer({ cert: leaf.certPem, key: leaf.keyPem }, (request, response) => {
    void text(request).then(body => answer(request, response, body))
  })
  server.on('secureConnection', () => connections++)
  server.on('tlsClientError', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  return { port: (server.address() as AddressInfo).port, connections: () => connections }
}
