import type { Clock, Random } from '../../lib/service/clock.ts'
import type { Answer } from './answers.ts'

/** What goes wrong. All but `lostReply`, `drip` and `truncated` happen before the request is processed. */
export type Fault =
  | { kind: 'slow'; delayMs: number }
  /** The connection breaks; nothing was processed. */
  | { kind: 'reset' }
  /** The request is processed, a write is applied, and then the connection breaks. */
  | { kind: 'lostReply' }
  /** The body arrives in small pieces. */
  | { kind: 'drip'; chunkBytes: number; everyMs: number }
  /** The headers promise the whole body, half of it arrives, and the connection breaks. */
  | { kind: 'truncated' }
  /** An answer from in front of Rails, or any other: 502 and 503 have GitLab's usual bodies, 409 a conflict's. */
  | { kind: 'status'; status: number; body?: string; headers?: Record<string, string> }
  /** Rack::Attack's plain text 429 with `Retry-After` and `RateLimit-*`. */
  | { kind: 'throttled'; retryAfterSeconds?: number }
  /** The application limiter's JSON 429 without such headers. */
  | { kind: 'limited' }
  /** No answer ever; ends when the caller gives up or the server closes. */
  | { kind: 'hang' }

/** Which requests a fault hits; everything that is given must match. */
export interface FaultRule {
  fault: Fault
  method?: string
  /** A route pattern as the log shows it (`/runners/:id`), or an expression on it. */
  route?: string | RegExp
  /** The caller as the log shows it: `token:NAME`, `runner:ID`. */
  caller?: string
  /** 1 when missing. */
  probability?: number
  /** How many times it strikes; without end when missing. */
  count?: number
}

export interface Faults {
  /** The newest rule that matches strikes. The returned function takes the rule away. */
  add(rule: FaultRule): () => void
  clear(): void
  /** Every request fails from now on until the returned function is called; connections break unless told otherwise. */
  outage(fault?: Fault): () => void
}

export interface FaultSubject {
  method: string
  route: string
  caller: string
}

export class FaultBox implements Faults {
  readonly #random: Random
  #rules: { rule: FaultRule; left: number }[] = []

  constructor(random: Random) {
    this.#random = random
  }

  add(rule: FaultRule): () => void {
    const entry = { rule, left: rule.count ?? Number.POSITIVE_INFINITY }
    this.#rules.unshift(entry)
    return () => {
      this.#rules = this.#rules.filter(other => other !== entry)
    }
  }

  clear(): void {
    this.#rules = []
  }

  outage(fault: Fault = { kind: 'reset' }): () => void {
    return this.add({ fault })
  }

  /** The fault that strikes this request, if any; counts it. */
  strike(subject: FaultSubject): Fault | undefined {
    const entry = this.#rules.find(({ rule, left }) => left > 0 && hits(rule, subject) && this.#happens(rule))
    if (!entry) return undefined
    entry.left--
    return entry.rule.fault
  }

  #happens(rule: FaultRule): boolean {
    return rule.probability === undefined || this.#random() < rule.probability
  }
}

function hits(rule: FaultRule, { method, route, caller }: FaultSubject): boolean {
  if (rule.method !== undefined && rule.method !== method) return false
  if (rule.caller !== undefined && rule.caller !== caller) return false
  if (rule.route === undefined) return true
  return typeof rule.route === 'string' ? rule.route === route : rule.route.test(route)
}

/** The connection broke: the caller learns nothing of what was done. */
export class ConnectionBroken extends Error {
  constructor() {
    super('the simulated connection broke')
    this.name = 'ConnectionBroken'
  }
}

const BAD_GATEWAY = `<!DOCTYPE html>
<html>
<head><title>GitLab is not responding (502)</title></head>
<body><h1>502</h1><h3>Whoops, GitLab is taking too much time to respond.</h3></body>
</html>
`
const UNAVAILABLE = `<html>
<head><title>503 Service Temporarily Unavailable</title></head>
<body><center><h1>503 Service Temporarily Unavailable</h1></center><hr><center>nginx</center></body>
</html>
`

/** The answer of a `status` fault. */
export function faultAnswer(fault: Extract<Fault, { kind: 'status' }>): Answer {
  const html = { 'content-type': 'text/html; charset=utf-8' }
  const known: Record<number, Answer | undefined> = {
    409: { status: 409, headers: { 'content-type': 'application/json' }, body: '{"message":"409 Conflict"}' },
    500: {
      status: 500,
      headers: { 'content-type': 'application/json' },
      body: '{"message":"500 Internal Server Error"}',
    },
    502: { status: 502, headers: html, body: BAD_GATEWAY },
    503: { status: 503, headers: html, body: UNAVAILABLE },
  }
  const base = known[fault.status] ?? { status: fault.status, headers: html, body: '' }
  return { ...base, headers: { ...base.headers, ...fault.headers }, body: fault.body ?? base.body }
}

/** Waits until the caller gives up. */
export async function hang(clock: Clock, signal: AbortSignal): Promise<never> {
  for (;;) await clock.sleep(24 * 3_600_000, signal)
}
