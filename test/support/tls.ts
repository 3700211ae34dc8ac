import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { connect, createServer } from 'node:tls'
import type { Test } from 'tap'
import { generateRsaKey, type GenerateKey } from '../../certs/keys.ts'
import type { ServingPair } from '../../lib/tls/serving-pair.ts'

/** Keys made once and handed out in turn: what is played here are rotations, not the making of keys. */
export async function createKeyPool(size: number): Promise<GenerateKey> {
  const keys = await Promise.all(Array.from({ length: size }, () => generateRsaKey()))
  let turn = 0
  return () => Promise.resolve(keys[turn++ % size] ?? '')
}

export interface TlsServer {
  port: number
  use(pair: ServingPair): void
}

/** A TLS server on loopback that greets and hangs up; it has no certificate until it is given one. */
export async function startTlsServer(t: Test): Promise<TlsServer> {
  const server = createServer({ minVersion: 'TLSv1.2' }, socket => socket.on('error', () => undefined).end('hello'))
  server.on('tlsClientError', () => undefined)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => new Promise(resolve => server.close(resolve)))
  return {
    port: (server.address() as AddressInfo).port,
    use: ({ certificate, key }) => server.setSecureContext({ cert: certificate, key, minVersion: 'TLSv1.2' }),
  }
}

/**
 * Shakes hands as an API server does, trusting `ca` alone by the machine's clock. Answers with OpenSSL's code for what it
 * minds, undefined when all is well, and with the certificate that the server proved to own.
 */
export function shakeHands(
  port: number,
  { ca, servername }: { ca: string; servername: string },
): Promise<{ problem: string | undefined; certificate: X509Certificate | undefined }> {
  return new Promise(resolve => {
    const socket = connect({ port, host: '127.0.0.1', ca, servername, rejectUnauthorized: false })
    const finish = (problem: string | undefined) => {
      const certificate = socket.getPeerX509Certificate()
      socket.destroy()
      resolve({ problem, certificate })
    }
    socket.on('error', (error: Error) => finish(error.message))
    // Node types the error as an Error; it is the code's text.
    socket.on('secureConnect', () => finish(socket.authorized ? undefined : String(socket.authorizationError)))
  })
}

/** What OpenSSL asks of a chain of two, at a time of the test's choosing, which it can not be told by Node. */
export function trusts(bundle: string, certificate: X509Certificate | undefined, nowMs: number): boolean {
  if (certificate === undefined) return false
  const isValid = ({ validFrom, validTo }: X509Certificate) =>
    Date.parse(validFrom) <= nowMs && nowMs < Date.parse(validTo)
  const roots = bundle.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? []
  return roots
    .map(pem => new X509Certificate(pem))
    .some(
      root =>
        isValid(root) && isValid(certificate) && certificate.checkIssued(root) && certificate.verify(root.publicKey),
    )
}

/** Whether the `openssl` program is here. Where CI runs it must be: a check that is silently left out proves nothing. */
export function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'])
    return true
  } catch (error) {
    if (process.env['CI'] === 'true') throw new Error('CI=true, but there is no openssl', { cause: error })
    return false
  }
}
