import type { Random } from '../../lib/service/clock.ts'
import type { Contact, RunnerStatus } from './model.ts'
import { CONTACT_CACHE_TTL_MS, type GitLabTiming } from './timing.ts'

/** The fields of a runner or a manager that its status depends on. */
export interface Contacted {
  readonly createdAtMs: number
  readonly contact: Contact
}

export function newContact(created: boolean): Contact {
  return { cachedAtMs: null, columnMs: null, created }
}

/** A contact that reached Rails: Redis at once, the column only when it is older than a random part of an hour. */
export function recordContact(contact: Contact, nowMs: number, timing: GitLabTiming, random: Random): void {
  contact.cachedAtMs = nowMs
  const [minMs, maxMs] = timing.contactColumnMs
  const maxAgeMs = minMs + random() * (maxMs - minMs)
  if (contact.columnMs === null || nowMs - contact.columnMs >= maxAgeMs) contact.columnMs = nowMs
}

/** What the API's bodies say: the cached value, the column once Redis has forgotten it. */
export function contactedAtMs({ contact }: Contacted, nowMs: number): number | null {
  return contact.cachedAtMs !== null && nowMs - contact.cachedAtMs < CONTACT_CACHE_TTL_MS
    ? contact.cachedAtMs
    : contact.columnMs
}

/** Null when never contacted, as the REST field `online` has it. */
export function isOnline(item: Contacted, nowMs: number, timing: GitLabTiming): boolean | null {
  const atMs = contactedAtMs(item, nowMs)
  return atMs === null ? null : nowMs - atMs < timing.onlineTimeoutMs
}

export function isStale(item: Contacted, nowMs: number, timing: GitLabTiming): boolean {
  return nowMs - Math.max(item.createdAtMs, contactedAtMs(item, nowMs) ?? 0) >= timing.staleMs
}

/** The status of GraphQL and of managers everywhere. */
export function statusOf(item: Contacted, nowMs: number, timing: GitLabTiming): RunnerStatus {
  if (isStale(item, nowMs, timing)) return 'stale'
  if (!item.contact.created) return 'never_contacted'
  return isOnline(item, nowMs, timing) ? 'online' : 'offline'
}

/** The deprecated `status` of REST runners: pausing hides whether the runner is online. */
export function restStatusOf(
  item: Contacted & { paused: boolean },
  nowMs: number,
  timing: GitLabTiming,
): RunnerStatus | 'paused' {
  if (isStale(item, nowMs, timing)) return 'stale'
  const online = isOnline(item, nowMs, timing)
  if (online === null) return 'never_contacted'
  if (item.paused) return 'paused'
  return online ? 'online' : 'offline'
}

/** The filter by status works on the column, which may be most of an hour behind what the bodies say. */
export function columnMatches(item: Contacted, status: RunnerStatus, nowMs: number, timing: GitLabTiming): boolean {
  const atMs = item.contact.columnMs
  switch (status) {
    case 'never_contacted':
      return atMs === null
    case 'online':
      return atMs !== null && nowMs - atMs < timing.onlineTimeoutMs
    case 'offline':
      return atMs !== null && nowMs - atMs >= timing.onlineTimeoutMs
    case 'stale':
      return nowMs - item.createdAtMs >= timing.staleMs && (atMs === null || nowMs - atMs >= timing.staleMs)
  }
}
