import { Json } from './json.ts'
import type { Sender } from './request.ts'
import { GitLabError } from './types.ts'

/** This GitLab does not serve the query at all (endpoint closed, field unknown, too complex): ask over REST instead. */
export class GraphqlUnusableError extends GitLabError {}

export interface GraphqlQuery<T> {
  /** For people: `runners and files of a pool`. */
  subject: string
  query: string
  variables: Readonly<Record<string, unknown>>
  read: (data: Json, serverMs: number | undefined) => T
}

export interface Graphql {
  /** Sends a query, never a mutation: it counts as a read and may be repeated once. */
  query<T>(query: GraphqlQuery<T>, signal: AbortSignal): Promise<T>
}

const ENDPOINT = 'POST /api/graphql'

/** GitLab's only wording for both, so that nobody learns what exists. */
const DENIED = /don't have permission|not authorized|unauthorized/i
/** What a validator says; GitLab's also sets `extensions.code`. */
const UNSERVED = /doesn't exist on type|doesn't accept argument|isn't a defined|parse error|exceeds max/i

export function createGraphql(sender: Sender, url: string): Graphql {
  return {
    async query({ subject, query, variables, read }, signal) {
      try {
        return await sender.send(
          {
            endpoint: ENDPOINT,
            subject,
            method: 'POST',
            url,
            body: { query, variables },
            safe: true,
            read({ json, serverMs, safeText }) {
              throwErrors(json, subject, safeText)
              return read(json.get('data'), serverMs)
            },
          },
          signal,
        )
      } catch (error) {
        throw isRefusedEndpoint(error)
          ? new GraphqlUnusableError(error.kind, ENDPOINT, shortly(error), error.more)
          : error
      }
    },
  }
}

/** An answer with errors is never used, even where it has data besides: what it lacks would look as if it did not exist. */
function throwErrors(json: Json, subject: string, safeText: (text: string) => string): void {
  const errors = json.get('errors')
  if (errors.isMissing || errors.isNull) return
  const items = errors.items()
  const messages = items.map(error => error.get('message').string())
  const detail = `${subject}: ${safeText(messages.join('; ')) || 'errors without a message'}`
  if (items.some(hasCode) || messages.some(message => UNSERVED.test(message))) {
    throw new GraphqlUnusableError('refused', ENDPOINT, detail)
  }
  throw new GitLabError(messages.some(message => DENIED.test(message)) ? 'forbidden' : 'unavailable', ENDPOINT, detail)
}

function hasCode(error: Json): boolean {
  const extensions = error.get('extensions')
  return !extensions.isMissing && !extensions.isNull && !extensions.get('code').isMissing
}

function isRefusedEndpoint(error: unknown): error is GitLabError {
  if (!(error instanceof GitLabError) || error instanceof GraphqlUnusableError || !error.more.status) return false
  return error.more.status >= 400 && ['refused', 'forbidden', 'not_found'].includes(error.kind)
}

function shortly({ message }: GitLabError): string {
  return message.replace(`GitLab ${ENDPOINT}: `, '')
}

/** The number in `gid://gitlab/Ci::Runner/12`; the type must be the one expected. */
export function numericId(json: Json, type: 'Ci::Runner' | 'Group' | 'Project'): number {
  const prefix = `gid://gitlab/${type}/`
  const gid = json.string()
  return new Json(gid.startsWith(prefix) ? Number(gid.slice(prefix.length)) : gid, `the id of a ${type}`).integer()
}

/** What a connection is asked for besides its nodes, so that its pages can be followed. */
export const PAGE_INFO = 'pageInfo { hasNextPage endCursor }'

/** The cursor of the next page; undefined on the last. */
export function nextCursor(connection: Json): string | undefined {
  const info = connection.get('pageInfo')
  return info.get('hasNextPage').boolean() ? info.get('endCursor').string() : undefined
}
