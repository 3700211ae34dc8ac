import https from 'node:https'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import { buildAuthority, buildLeaf } from '../../certs/build.ts'
import { generateRsaKey, randomSerial } from '../../certs/keys.ts'
import { systemClock } from '../../lib/service/clock.ts'
import { silentLog } from '../../lib/service/log.ts'
import type { ServingPair } from '../../lib/tls/serving-pair.ts'
import type { Exchange, ReviewResult } from '../../webhook/exchange.ts'
import { createWebhookServer, type WebhookServerOptions } from '../../webhook/server.ts'

export const SERVER_NAME = 'hadr-webhook.hadr-system.svc'

export interface TestAuthority {
  certificate: string
  key: string
}

export async function createAuthority(): Promise<TestAuthority> {
  const key = await generateRsaKey()
  return { key, certificate: buildAuthority({ key, serial: randomSerial(), ...anHour() }) }
}

export async function createPair(issuer: TestAuthority): Promise<ServingPair> {
  const key = await generateRsaKey()
  return { key, certificate: buildLeaf({ key, serial: randomSerial(), names: [SERVER_NAME], issuer, ...anHour() }) }
}

function anHour() {
  return { notBeforeMs: Date.now() - 300_000, notAfterMs: Date.now() + 3_600_000 }
}

/** A webhook's server on loopback that ends with the test; `exchanges` is what its hook was told. */
export async function startWebhook(
  t: Test,
  pair: ServingPair,
  review: (body: unknown) => ReviewResult,
  more: Partial<WebhookServerOptions<ReviewResult>> = {},
) {
  const exchanges: Exchange<ReviewResult>[] = []
  const failedHandshakes = { count: 0 }
  const server = createWebhookServer({
    listen: { host: '127.0.0.1', port: 0 },
    review,
    onExchange: exchange => exchanges.push(exchange),
    onHandshakeFailure: () => failedHandshakes.count++,
    clock: systemClock,
    log: silentLog,
    endpointLagMs: 0,
    ...more,
  })
  await server.start(pair)
  t.teardown(() => server.stop())
  return { server, exchanges, failedHandshakes, port: server.address()?.port ?? 0 }
}

export interface Call {
  port: number
  ca: string
  agent?: https.Agent
  /** SERVER_NAME when missing. */
  servername?: string
  path?: string
  method?: string
  headers?: Record<string, string>
  body?: string | Uint8Array
}

/** One HTTPS call, as strict as the API server's: it trusts `ca` alone and asks for the Service's name. */
export function call({
  port,
  ca,
  agent,
  servername = SERVER_NAME,
  path = '/mutate?timeout=3s',
  method = 'POST',
  headers,
  body,
}: Call) {
  return new Promise<{ status: number; headers: Record<string, unknown>; text: string }>((resolve, reject) => {
    const sent = https.request(
      {
        ...{ host: '127.0.0.1', port, path, method, ca, servername, agent: agent ?? false },
        headers: headers ?? { 'content-type': 'application/json' },
      },
      response => {
        text(response).then(
          answer => resolve({ status: response.statusCode ?? 0, headers: response.headers, text: answer }),
          reject,
        )
      },
    )
    sent.on('error', reject)
    sent.end(body)
  })
}

/** The least that is a review. */
export function reviewBody(uid: string, more: Record<string, unknown> = {}): string {
  return JSON.stringify({ kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1', request: { uid, ...more } })
}

/** A handler that admits what has a uid and refuses the rest. */
export function admit(body: unknown): ReviewResult {
  const uid = (body as { request?: { uid?: unknown } } | null)?.request?.uid
  return typeof uid === 'string' ? { answer: { response: { uid, allowed: true } } } : { refused: 'no uid' }
}
