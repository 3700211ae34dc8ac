import { TransportError, type HttpRequest, type HttpResponse, type HttpTransport } from '../http/transport.ts'
import type { Clock, Random } from '../service/clock.ts'
import type { Log } from '../service/log.ts'
import type { Endpoint } from './endpoints.ts'
import { createSafeText, kindOfStatus, mendOf, parseJson, reasonOf } from './errors.ts'
import { Json, ShapeError } from './json.ts'
import { createRateGate, dateMs } from './rate-gate.ts'
import { GitLabError, type GitLabErrorKind } from './types.ts'

/** The one repetition of a failed read comes after half to one and a half of this. */
const RETRY_DELAY_MS = 250

export type RequestOutcome = 'ok' | GitLabErrorKind

/** Told of every request that was sent; `status` is undefined and `bytes` 0 when no whole answer came. */
export type OnRequest = (
  endpoint: Endpoint,
  outcome: RequestOutcome,
  status: number | undefined,
  bytes: number,
  durationMs: number,
) => void

export interface Answer {
  json: Json
  headers: Readonly<Record<string, string>>
  /** GitLab's clock when it answered; undefined without a `Date` header. */
  serverMs: number | undefined
  /** Makes a text of the answer fit for a message. */
  safeText: (text: string) => string
}

/** One request and how its answer is understood. */
export interface Call<T> {
  endpoint: Endpoint
  /** What it is about, for people: `runner 12`. */
  subject: string
  method: HttpRequest['method']
  url: string
  /** Sent as JSON. */
  body?: unknown
  /** Sent as the bytes of a file, instead of `body`. */
  file?: string
  /** Changes nothing in GitLab: it may be sent a second time. */
  safe: boolean
  /** Narrows the answer of a success. A ShapeError becomes `invalid_answer`. */
  read(answer: Answer): T
  /** A meaning of a failure that differs from the usual one of its status. */
  kindOf?(status: number, reason: string): GitLabErrorKind | undefined
  /** A 404 with such a reason is this value and no failure. */
  absent?: { reason: RegExp; value: T }
}

export interface SenderOptions {
  transport: HttpTransport
  token: () => Promise<string | undefined>
  clock: Clock
  random: Random
  log: Log
  maxResponseBytes: number
  userAgent: string
  onRequest: OnRequest | undefined
  onRateLimit: ((remaining: number) => void) | undefined
}

export interface Sender {
  /** Rejects with GitLabError. `signal` bounds everything, the repetition of a read included. */
  send<T>(call: Call<T>, signal: AbortSignal): Promise<T>
  /** The error, told anew where it repeats the token: an answer may have had it in a name that went into the message. */
  discreet(error: GitLabError): GitLabError
  serverNowMs: () => number | undefined
}

export function createSender(options: SenderOptions): Sender {
  const { transport, clock, random, log, onRequest } = options
  const gate = createRateGate({ clock, random })
  let newest: { serverMs: number; monotonicMs: number } | undefined
  let lastToken: string | undefined

  async function exchange<T>(call: Call<T>, token: string, signal: AbortSignal): Promise<T> {
    const waitMs = gate.waitMs()
    if (waitMs > 0) throw notYet(call, waitMs)
    const startedMs = clock.monotonicMs()
    const report = (outcome: RequestOutcome, response?: HttpResponse) => {
      const durationMs = clock.monotonicMs() - startedMs
      const bytes = response === undefined ? 0 : Buffer.byteLength(response.body)
      onRequest?.(call.endpoint, outcome, response?.status, bytes, durationMs)
      log.debug({ endpoint: call.endpoint, outcome, status: response?.status, bytes, durationMs }, 'asked GitLab')
    }

    let response: HttpResponse
    try {
      response = await transport(requestOf(call, token, options, signal))
    } catch (error) {
      const failure = lost(call, error, signal)
      report(failure.kind)
      throw failure
    }

    const serverMs = dateMs(response.headers['date'])
    // A 5xx often is a proxy's word, and its clock is not GitLab's.
    if (serverMs !== undefined && response.status < 500) newest = { serverMs, monotonicMs: clock.monotonicMs() }
    const closedMs = gate.observe(response.status, response.headers)
    const remaining = response.headers['ratelimit-remaining']?.trim() ?? ''
    if (/^\d{1,9}$/.test(remaining)) options.onRateLimit?.(Number(remaining))
    if (closedMs !== undefined) log.warn({ endpoint: call.endpoint, waitMs: closedMs }, 'GitLab limits our requests')

    try {
      const value = understand(call, response, createSafeText(token), serverMs, closedMs)
      report('ok', response)
      return value
    } catch (error) {
      const failure = error instanceof GitLabError ? error : misshapen(call, response, error)
      report(failure.kind, response)
      throw failure
    }
  }

  return {
    async send(call, signal) {
      const token = await readToken(call, options.token, signal)
      lastToken = token
      try {
        return await exchange(call, token, signal)
      } catch (error) {
        if (!call.safe || !isTransient(error)) throw error
        try {
          await clock.sleep(RETRY_DELAY_MS * (0.5 + random()), signal)
        } catch {
          throw error
        }
        return await exchange(call, token, signal)
      }
    },
    discreet(error) {
      const { kind, endpoint, message, more } = error
      if (lastToken === undefined || !message.includes(lastToken)) return error
      const detail = message.replace(`GitLab ${endpoint}: `, '')
      // Its cause may repeat the token as well.
      return new GitLabError(kind, endpoint, createSafeText(lastToken)(detail), { ...more, cause: undefined })
    },
    serverNowMs: () => newest && newest.serverMs + (clock.monotonicMs() - newest.monotonicMs),
  }
}

function requestOf(call: Call<unknown>, token: string, options: SenderOptions, signal: AbortSignal): HttpRequest {
  const headers = { 'PRIVATE-TOKEN': token, accept: 'application/json', 'user-agent': options.userAgent }
  const { method, url } = call
  const bare = { method, url, headers, signal, maxResponseBytes: options.maxResponseBytes }
  if (call.file !== undefined) {
    return { ...bare, headers: { ...headers, 'content-type': 'application/octet-stream' }, body: call.file }
  }
  if (call.body === undefined) return bare
  return { ...bare, headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(call.body) }
}

async function readToken(
  { endpoint }: Call<unknown>,
  token: SenderOptions['token'],
  signal: AbortSignal,
): Promise<string> {
  let given: string | undefined
  try {
    given = (await abortable(token(), signal))?.trim()
  } catch (cause) {
    if (signal.aborted) throw givenUp(endpoint, signal)
    throw new GitLabError('unauthorized', endpoint, 'not sent: the token cannot be read', { cause })
  }
  if (given === undefined || given === '') throw new GitLabError('unauthorized', endpoint, 'not sent: no token')
  if (!/^[\x21-\x7e]+$/.test(given)) {
    throw new GitLabError('unauthorized', endpoint, 'not sent: the token holds characters that no token has')
  }
  return given
}

function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new Error('aborted'))
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

function understand<T>(
  call: Call<T>,
  response: HttpResponse,
  safeText: (text: string) => string,
  serverMs: number | undefined,
  closedMs: number | undefined,
): T {
  const { status, headers, body } = response
  if (status >= 200 && status < 300) {
    const json = status === 204 ? null : parseJson(body)
    if (json === undefined) throw new ShapeError('the body', 'JSON')
    return call.read({ json: new Json(json), headers, serverMs, safeText })
  }
  const reason = reasonOf(response, safeText)
  if (status === 404 && call.absent?.reason.test(reason)) return call.absent.value
  const kind = call.kindOf?.(status, reason) ?? kindOfStatus(status)
  const shown = reason.startsWith(String(status)) ? reason : `${status} ${reason}`.trim()
  throw new GitLabError(kind, call.endpoint, `${call.subject}: ${shown}${mendOf(status, reason)}`, {
    status,
    ...retryAfter(status, headers, closedMs),
  })
}

/** For a 429 the wait that the gate enforces; for a 5xx that asks for patience anything, so that it is not repeated. */
function retryAfter(
  status: number,
  headers: Readonly<Record<string, string>>,
  closedMs: number | undefined,
): { retryAfterMs?: number } {
  if (closedMs !== undefined) return { retryAfterMs: Math.ceil(closedMs) }
  const seconds = Number(headers['retry-after'])
  return status >= 500 && seconds > 0 ? { retryAfterMs: seconds * 1_000 } : {}
}

function isTransient(error: unknown): boolean {
  if (!(error instanceof GitLabError)) return false
  const { cause, status = 0, retryAfterMs } = error.more
  return (cause instanceof TransportError && cause.kind === 'network') || (status >= 500 && retryAfterMs === undefined)
}

function notYet({ endpoint, subject }: Call<unknown>, waitMs: number): GitLabError {
  const seconds = Math.ceil(waitMs / 1_000)
  const detail = `${subject}: not sent, because GitLab limits our requests for ${seconds} s more`
  return new GitLabError('rate_limited', endpoint, detail, { retryAfterMs: Math.ceil(waitMs) })
}

function lost({ endpoint, subject }: Call<unknown>, error: unknown, signal: AbortSignal): GitLabError {
  if (signal.aborted) return givenUp(endpoint, signal)
  const kind = error instanceof TransportError && error.kind === 'too_large' ? 'invalid_answer' : 'unavailable'
  const detail = error instanceof Error ? error.message : 'the exchange failed'
  return new GitLabError(kind, endpoint, `${subject}: ${detail}`, { cause: error })
}

/** The call's deadline passed, or its caller no longer wants the answer. */
export function givenUp(endpoint: Endpoint, signal: AbortSignal): GitLabError {
  const detail = signal.reason instanceof Error ? signal.reason.message : 'given up'
  return new GitLabError('unavailable', endpoint, detail, { cause: signal.reason })
}

function misshapen({ endpoint, subject }: Call<unknown>, response: HttpResponse, error: unknown): GitLabError {
  const { status, headers, body } = response
  const what = error instanceof ShapeError ? error.message : 'the answer cannot be understood'
  const type = (headers['content-type'] ?? 'no content type').slice(0, 60)
  const detail = `${subject}: answered ${status}, but ${what} (${type}, ${body.length} characters)`
  return new GitLabError('invalid_answer', endpoint, detail, { status, cause: error })
}
