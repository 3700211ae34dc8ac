import type { Random } from '../../lib/service/clock.ts'

/** What goes wrong. All but `lostReply` happen before the request is processed. */
export type Fault =
  | { kind: 'slow'; delayMs: number }
  /** The connection breaks; nothing was processed. */
  | { kind: 'reset' }
  /** The request is processed, a write is applied, and then the connection breaks. */
  | { kind: 'lostReply' }
  /** Any answer; without a body the Status that a server in trouble sends. */
  | { kind: 'status'; status: number; body?: string; headers?: Record<string, string> }
  /** No answer ever; ends when the caller gives up or the server closes. */
  | { kind: 'hang' }

/** Which requests a fault hits; everything that is given must match. */
export interface FaultRule {
  fault: Fault
  /** As RBAC names it: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`. */
  verb?: string
  /** Plural, with the subresource: `leases`, `deployments/scale`. */
  resource?: string
  username?: string
  /** 1 when missing. */
  probability?: number
  /** How many times it strikes; without end when missing. */
  count?: number
}

export interface FaultSubject {
  verb: string
  resource: string
  username: string
}

/** The newest rule that matches strikes. */
export class Faults {
  readonly #random: Random
  #rules: { rule: FaultRule; left: number }[] = []

  constructor(random: Random) {
    this.#random = random
  }

  /** The returned function takes the rule away. */
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

  /** The fault that strikes this request, if any; counts it. */
  strike(subject: FaultSubject): Fault | undefined {
    const entry = this.#rules.find(({ rule, left }) => left > 0 && hits(rule, subject) && this.#happens(rule))
    if (!entry) return undefined
    entry.left--
    return entry.rule.fault
  }

  #happens({ probability }: FaultRule): boolean {
    return probability === undefined || this.#random() < probability
  }
}

function hits(rule: FaultRule, subject: FaultSubject): boolean {
  return (
    (rule.verb === undefined || rule.verb === subject.verb) &&
    (rule.resource === undefined || rule.resource === subject.resource) &&
    (rule.username === undefined || rule.username === subject.username)
  )
}
