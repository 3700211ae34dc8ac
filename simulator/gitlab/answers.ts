/** What the simulated GitLab sends back; the body is text, as everything that is imitated is. */
export interface Answer {
  status: number
  /** Names in lower case. */
  headers: Record<string, string>
  body: string
}

/** Ends the handling of a request with an answer, from wherever it is thrown. */
export class Refusal extends Error {
  constructor(readonly answer: Answer) {
    super(`GitLab refuses with ${answer.status}`)
    this.name = 'Refusal'
  }
}

export function json(status: number, value: unknown, headers: Record<string, string> = {}): Answer {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(value) }
}

export function text(status: number, body: string, headers: Record<string, string> = {}): Answer {
  return { status, headers: { 'content-type': 'text/plain', ...headers }, body }
}

export function noContent(headers: Record<string, string> = {}): Answer {
  return { status: 204, headers, body: '' }
}

/**
 * GitLab's error bodies have three shapes: `{"message": …}` from its own code, `{"error": …}` from parameter checks and
 * from the router, `{"error", "error_description"}` from the token checks. Each constructor below knows its own.
 */
export const refusals = {
  message: (status: number, message: unknown) => new Refusal(json(status, { message })),
  parameter: (error: string) => new Refusal(json(400, { error })),
  unauthorized: () => new Refusal(json(401, { message: '401 Unauthorized' })),
  invalidToken: (description: string) =>
    new Refusal(json(401, { error: 'invalid_token', error_description: description })),
  insufficientScope: (scopes: readonly string[]) =>
    new Refusal(
      json(403, {
        error: 'insufficient_scope',
        error_description: 'The request requires higher privileges than provided by the access token.',
        scope: scopes.join(' '),
      }),
    ),
  forbidden: (reason?: string, headers: Record<string, string> = {}) =>
    new Refusal(json(403, { message: reason ? `403 Forbidden - ${reason}` : '403 Forbidden' }, headers)),
  notFound: (what?: string) => new Refusal(json(404, { message: what ? `404 ${what} Not Found` : '404 Not Found' })),
  noRoute: () => new Refusal(json(404, { error: '404 Not Found' })),
  methodNotAllowed: () => new Refusal(json(405, { error: '405 Not Allowed' })),
} as const
