import { X509Certificate } from 'node:crypto'
import http from 'node:http'
import https from 'node:https'
import tls from 'node:tls'
import type { TransportOptions } from './transport.ts'

/**
 * An idle connection is closed by us after this long, well before the 60 to 75 s after which common load balancers and
 * nginx drop it without a word: a request on a connection that is already gone fails, and a write must not be repeated.
 */
const IDLE_SOCKET_MS = 30_000
const DEFAULT_MAX_SOCKETS = 8

export interface Agents {
  http: http.Agent
  https: https.Agent
  /** Closes every connection, idle or not. */
  close(): void
}

/** Keep-alive connection pools. `ca` is trusted besides Node's own root certificates. */
export function createAgents({ ca, maxSockets = DEFAULT_MAX_SOCKETS }: TransportOptions): Agents {
  const pool = { keepAlive: true, maxSockets, timeout: IDLE_SOCKET_MS }
  // The trust store is built once: given as `ca`, Node would parse all root certificates anew for every connection.
  const trust = ca === undefined ? {} : { secureContext: trustStore(ca) }
  const plain = new http.Agent(pool)
  const secure = new https.Agent({ ...pool, ...trust })
  return {
    http: plain,
    https: secure,
    close() {
      plain.destroy()
      secure.destroy()
    },
  }
}

function trustStore(ca: string): tls.SecureContext {
  const blocks = ca.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? []
  if (blocks.length === 0) throw new Error('the CA holds no certificate: it must be one or more PEM blocks')
  for (const [index, block] of blocks.entries()) assertCertificate(block, index + 1)
  return tls.createSecureContext({ ca: [...tls.rootCertificates, ...blocks] })
}

/** Node itself skips a block that it cannot read, and every connection would fail later for no visible reason. */
function assertCertificate(pem: string, position: number): void {
  try {
    new X509Certificate(pem)
  } catch (cause) {
    throw new Error(`certificate ${position} of the CA cannot be read: it is no X.509 certificate in PEM`, { cause })
  }
}
