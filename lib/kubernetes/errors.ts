export type KubernetesErrorKind =
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'already_exists'
  | 'conflict'
  | 'invalid'
  | 'expired'
  | 'rate_limited'
  | 'unavailable'
  | 'invalid_answer'
  | 'refused'

/**
 * A call failed. `conflict` is a lost race, whatever its status: a stale resourceVersion (409) or a JSON patch whose `test`
 * failed (422). `unavailable` is everything from a lost connection to a 5xx or a passed deadline: for a write it is
 * *ambiguous*, the server may have applied it. `expired`: a version that is too old to watch or list from.
 */
export class KubernetesError extends Error {
  constructor(
    readonly kind: KubernetesErrorKind,
    /** For people: `PATCH secrets/hadr-ca`. Never holds a token nor a query. */
    readonly subject: string,
    detail: string,
    readonly more: { status?: number; retryAfterMs?: number; cause?: unknown } = {},
  ) {
    super(`Kubernetes ${subject}: ${detail}`, more.cause === undefined ? undefined : { cause: more.cause })
    this.name = 'KubernetesError'
  }

  /** True when the server may have carried the call out although it reported no success. */
  get ambiguous(): boolean {
    return this.kind === 'unavailable' || this.kind === 'invalid_answer'
  }
}

/** What the API server answers to a JSON patch that does not apply. */
const PATCH_REJECTED = 'the server rejected our request due to an error in our request'
const MAX_DETAIL_LENGTH = 300

/** The error that an answer which is no success means. */
export function errorOfAnswer(
  subject: string,
  status: number,
  body: string,
  retryAfter: string | undefined,
): KubernetesError {
  const { reason, message } = readStatus(body)
  const kind = kindOf(status, reason, message)
  const seconds = Number(retryAfter ?? Number.NaN)
  return new KubernetesError(kind, subject, `${status} ${shorten(message)}${mendOf(kind)}`, {
    status,
    ...(seconds >= 0 && { retryAfterMs: seconds * 1000 }),
  })
}

function kindOf(status: number, reason: string, message: string): KubernetesErrorKind {
  switch (status) {
    case 401:
      return 'unauthorized'
    case 403:
      return 'forbidden'
    case 404:
      return 'not_found'
    case 409:
      return reason === 'AlreadyExists' ? 'already_exists' : 'conflict'
    case 410:
      return 'expired'
    case 422:
      return message === PATCH_REJECTED ? 'conflict' : 'invalid'
    case 429:
      return 'rate_limited'
    case 408:
      return 'unavailable'
    default:
      return status >= 500 ? 'unavailable' : 'refused'
  }
}

/** What usually mends it; empty where nothing general can be said. */
function mendOf(kind: KubernetesErrorKind): string {
  switch (kind) {
    case 'unauthorized':
      return ': the token is wrong or expired'
    case 'forbidden':
      return ': give the service account the missing right, or look at the quota or policy that the message names'
    default:
      return ''
  }
}

function readStatus(body: string): { reason: string; message: string } {
  try {
    const parsed: unknown = JSON.parse(body)
    if (typeof parsed === 'object' && parsed !== null) {
      const read = (name: string) => {
        const value: unknown = Reflect.get(parsed, name)
        return typeof value === 'string' ? value : ''
      }
      return { reason: read('reason'), message: read('message') }
    }
  } catch {
    // Not JSON: a proxy's page or plain text, shown as it is.
  }
  return { reason: '', message: body }
}

/** One short line; a message that quotes a whole object would fill the log and may hold what nobody should read. */
function shorten(message: string): string {
  const line = message
    .replace(/Invalid value: "\{.*\}"/s, 'Invalid value: (the whole object)')
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
  return line.length > MAX_DETAIL_LENGTH ? `${line.slice(0, MAX_DETAIL_LENGTH)}…` : line
}
