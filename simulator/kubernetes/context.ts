import type { Clock, Random } from '../../lib/service/clock.ts'
import type { Log } from '../../lib/service/log.ts'
import type { Access } from './access.ts'
import type { WebhookCaller } from './admission/caller.ts'
import type { ConditionEvaluator } from './admission/match.ts'
import type { Store } from './store.ts'

/** What an audit log at level Request would say of one created pod. */
export interface AuditEvent {
  username: string
  namespace: string
  /** Empty when the pod had no name yet. */
  name: string
  annotations: Readonly<Record<string, string>>
}

export interface Context {
  clock: Clock
  random: Random
  log: Log
  store: Store
  access: Access
  caller: WebhookCaller
  evaluateCondition: ConditionEvaluator
  audits: AuditEvent[]
  /** The server's own clock, milliseconds since 1970. */
  nowMs(): number
  /** Half-open watches: nothing is sent on them while this is true. */
  watchesFrozen: boolean
  /** Aborts when the server closes. */
  closing: AbortSignal
}

const SUFFIX_LETTERS = 'bcdfghjklmnpqrstvwxz2456789'

/** Five letters, as the server appends them to a generateName. */
export function randomSuffix(random: Random): string {
  return Array.from({ length: 5 }, () => SUFFIX_LETTERS[Math.floor(random() * SUFFIX_LETTERS.length)]).join('')
}

export function randomUid(random: Random): string {
  const hex = Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16)).join('')
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20)].join('-')
}

/** Whole seconds, as `creationTimestamp` has them. */
export function timestamp(nowMs: number): string {
  return `${new Date(nowMs).toISOString().slice(0, 19)}Z`
}
