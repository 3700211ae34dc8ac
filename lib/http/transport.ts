/** One HTTP exchange, as raw as the callers need it. */
export interface HttpRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD'
  /** Absolute http(s) URL. */
  url: string
  headers: Readonly<Record<string, string>>
  /** Sent as it is; the caller sets `content-type`. */
  body?: string
  /** The deadline: the exchange, body included, ends with the signal's reason when it aborts. */
  signal: AbortSignal
  /** A longer answer ends the exchange with a TransportError of kind `too_large`. */
  maxResponseBytes: number
}

export interface HttpResponse {
  status: number
  /** Names in lower case; a repeated header is joined with `, `. */
  headers: Readonly<Record<string, string>>
  body: string
}

/**
 * Sends one request. Every HTTP status resolves; only a failed exchange rejects, with a TransportError (or with the
 * signal's reason). Follows no redirects, uses no proxy from the environment, keeps connections alive. Repeats nothing but
 * a GET or HEAD whose kept-alive connection proved closed before any answer began, and that once.
 */
export type HttpTransport = (request: HttpRequest) => Promise<HttpResponse>

export type TransportErrorKind = 'network' | 'too_large' | 'tls'

/** The exchange failed before a whole answer was there. For a write, the server may or may not have applied it. */
export class TransportError extends Error {
  constructor(
    readonly kind: TransportErrorKind,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options)
    this.name = 'TransportError'
  }
}

export interface TransportOptions {
  /** PEM certificates that are trusted besides the system's, for a private GitLab. */
  ca?: string
  maxSockets?: number
}
