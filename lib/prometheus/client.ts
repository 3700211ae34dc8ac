import { TransportError, type HttpTransport } from '../http/transport.ts'
import { DeadlineError, withDeadline, type Clock } from '../service/clock.ts'
import { readInstantAnswer, readRangeAnswer, type InstantResult, type RangeResult } from './answer.ts'

export interface PrometheusClientOptions {
  /** Where Prometheus (or what speaks its API) is, with or without a path: `https://host/prometheus`. */
  url: string
  transport: HttpTransport
  clock: Clock
  /** Sent with every query, for example `authorization` or `x-scope-orgid`. */
  headers?: Readonly<Record<string, string>>
  /** One whole exchange; Prometheus itself is told to give up a fifth earlier. Default 5000. */
  deadlineMs?: number
  /** Default 16 MiB, about 50,000 series. */
  maxResponseBytes?: number
}

/**
 * Queries that never throw for what Prometheus says or fails to say: every outcome is a `kind` of the result. They reject
 * only with the caller's own signal's reason, or with an error that is a defect of the transport.
 */
export interface PrometheusClient {
  /** One evaluation at Prometheus's present time. */
  instant(query: string, signal?: AbortSignal): Promise<InstantResult>
  /** Both ends are included; milliseconds since 1970. */
  range(
    query: string,
    window: { startMs: number; endMs: number; stepMs: number },
    signal?: AbortSignal,
  ): Promise<RangeResult>
}

/** Throws a TypeError when `url` is not usable as the base of the API. */
export function createPrometheusClient(options: PrometheusClientOptions): PrometheusClient {
  const { transport, clock, headers = {}, deadlineMs = 5_000, maxResponseBytes = 16 * 1024 * 1024 } = options
  const base = baseUrl(options.url)
  const timeout = `${Math.max(1, Math.floor(deadlineMs * 0.8))}ms`

  /** By POST, because a proxy or Prometheus may refuse a long query in a URL. */
  async function ask<Result>(
    path: string,
    parameters: Readonly<Record<string, string>>,
    read: (status: number, body: string) => Result,
    signal: AbortSignal | undefined,
  ) {
    try {
      const work = (deadline: AbortSignal) =>
        transport({
          method: 'POST',
          url: new URL(path, base).href,
          headers: { accept: 'application/json', ...headers, 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams({ ...parameters, timeout }).toString(),
          signal: deadline,
          maxResponseBytes,
        })
      const { status, body } = await withDeadline(clock, deadlineMs, work, signal)
      return read(status, body)
    } catch (error) {
      if (signal?.aborted) throw error
      if (error instanceof DeadlineError) return { kind: 'unavailable', message: error.message } as const
      if (!(error instanceof TransportError)) throw error
      return { kind: error.kind === 'too_large' ? 'invalid_answer' : 'unavailable', message: error.message } as const
    }
  }

  return {
    instant: (query, signal) => ask('api/v1/query', { query }, readInstantAnswer, signal),
    range: (query, { startMs, endMs, stepMs }, signal) =>
      ask(
        'api/v1/query_range',
        { query, start: seconds(startMs), end: seconds(endMs), step: seconds(stepMs) },
        readRangeAnswer,
        signal,
      ),
  }
}

function baseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new TypeError('the URL of Prometheus must start with http:// or https://')
  }
  if (url.username !== '' || url.password !== '') {
    throw new TypeError(
      'the URL of Prometheus must hold no user name or password; send an authorization header instead',
    )
  }
  if (url.search !== '' || url.hash !== '') {
    throw new TypeError('the URL of Prometheus must end after its path; give no ? or # part')
  }
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return url
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3)
}
