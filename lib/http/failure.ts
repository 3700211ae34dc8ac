import { TransportError, type HttpRequest } from './transport.ts'

/** Codes of Node's and OpenSSL's certificate and handshake errors. `EPROTO`: the other side does not speak TLS at all. */
const TLS_CODE =
  /^(ERR_TLS_|ERR_SSL_|CERT_|CRL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|INVALID_CA|PATH_LENGTH_|HOSTNAME_MISMATCH|EPROTO)/

/** Codes with which a connection that the server had closed while it was idle answers the next request. */
const STALE_CODE = new Set(['ECONNRESET', 'EPIPE'])

/**
 * What a transport rejects with for `error`: the signal's reason when the deadline ended the exchange, else a
 * TransportError. The cause keeps message and code only, because HTTP libraries hang the whole request, token included,
 * on their errors.
 */
export function transportFailure(error: unknown, request: HttpRequest): Error {
  const { signal } = request
  if (signal.aborted) return signal.reason instanceof Error ? signal.reason : new Error('aborted')
  if (error instanceof TransportError) return error
  const code = codeOf(error)
  const kind = TLS_CODE.test(code) ? 'tls' : 'network'
  const message = error instanceof Error && error.message !== '' ? error.message : code || 'the connection failed'
  return new TransportError(kind, `${hostOf(request)}: ${message}`, { cause: plainCause(message, code) })
}

export function tooLarge(request: HttpRequest): TransportError {
  return new TransportError(
    'too_large',
    `${hostOf(request)}: the answer is longer than ${request.maxResponseBytes} bytes`,
  )
}

/**
 * True when a request without side effects failed because the kept-alive connection it was given had been closed by the
 * server meanwhile. The request then never reached anybody, and one more attempt on a new connection is due.
 */
export function isStaleConnection(error: unknown, request: HttpRequest, reusedSocket: boolean): boolean {
  const harmless = request.method === 'GET' || request.method === 'HEAD'
  return harmless && reusedSocket && !request.signal.aborted && STALE_CODE.has(codeOf(error))
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

function plainCause(message: string, code: string): Error {
  return code === '' ? new Error(message) : Object.assign(new Error(message), { code })
}

/** Only the host is named: paths and queries may say more than a log should hold. */
function hostOf({ url }: HttpRequest): string {
  return URL.canParse(url) ? new URL(url).host : 'invalid URL'
}
