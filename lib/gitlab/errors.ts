import type { HttpResponse } from '../http/transport.ts'
import type { GitLabErrorKind } from './types.ts'

const MAX_DETAIL_LENGTH = 300

/** What a status that is no success means, for reads and writes alike. */
export function kindOfStatus(status: number): GitLabErrorKind {
  switch (status) {
    case 401:
      return 'unauthorized'
    case 403:
      return 'forbidden'
    case 404:
      return 'not_found'
    case 409:
    case 412:
      return 'conflict'
    case 429:
      return 'rate_limited'
    case 408:
      return 'unavailable'
    default:
      // A redirect counts as refused: it is not followed, so nothing was applied.
      return status >= 500 ? 'unavailable' : 'refused'
  }
}

/**
 * Makes text from outside fit for a message: one line, short, without URL queries and without the token, which an echoing
 * proxy may have put there.
 */
export function createSafeText(token: string): (text: string) => string {
  return text => {
    const line = text
      .replaceAll(token, '[redacted]')
      .replace(/(https?:\/\/[^\s?"'<>]+)\?[^\s"'<>]*/g, '$1')
      .replace(/[\s\p{Cc}]+/gu, ' ')
      .trim()
    return line.length > MAX_DETAIL_LENGTH ? `${line.slice(0, MAX_DETAIL_LENGTH)}…` : line
  }
}

/** The reason that an answer gives, for people: GitLab's JSON error shapes, a throttle's plain text, a proxy's page. */
export function reasonOf({ status, headers, body }: HttpResponse, safeText: (text: string) => string): string {
  const location = headers['location']
  if (status >= 300 && status < 400 && location !== undefined) {
    return safeText(`redirects to ${location.replace(/[?#].*$/s, '')}: configure the URL that GitLab really has`)
  }
  const isPage = /^\s*</.test(body) || (headers['content-type'] ?? '').includes('html')
  if (isPage) return 'an HTML page, so a proxy or a sign-in page may have answered instead of GitLab'
  return safeText(jsonReason(body) ?? body)
}

/** What usually mends it; empty where nothing general can be said. */
export function mendOf(status: number, reason: string): string {
  if (status === 401) return ': the token is wrong, expired or revoked, renew it'
  if (status === 403 && reason.includes('insufficient_scope')) return ': give the token the missing scope'
  if (status === 403) return ": the token's role does not allow this"
  if (status === 404) return ': it does not exist or the token may not see it'
  return ''
}

function jsonReason(body: string): string | undefined {
  const json = parseJson(body)
  if (!isRecord(json)) return undefined
  const { message, error, error_description: description, scope, errors } = json
  if (message !== undefined) return flatten(message)
  if (typeof error === 'string') {
    const needs = typeof scope === 'string' ? ` (needs one of the scopes: ${scope})` : ''
    return typeof description === 'string' ? `${error}: ${description}${needs}` : `${error}${needs}`
  }
  return errors === undefined ? undefined : flatten(errors)
}

/** `{"message": {"tags_list": ["can not be empty"]}}` reads `tags_list can not be empty`. */
function flatten(value: unknown): string {
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return value.map(flatten).join(', ')
  if (!isRecord(value)) return String(value)
  return Object.entries(value)
    .map(([name, item]) => (/^(base|error|message)$/.test(name) ? flatten(item) : `${name} ${flatten(item)}`))
    .join('; ')
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The parsed text, or undefined where it is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
