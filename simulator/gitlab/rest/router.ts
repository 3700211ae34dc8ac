import { Access, authenticate, presentedToken } from '../access.ts'
import { refusals, type Answer } from '../answers.ts'
import type { Context } from '../context.ts'
import { readInput } from '../input.ts'
import type { Scope } from '../model.ts'
import { fileRoutes } from './file-routes.ts'
import { memberRoutes } from './member-routes.ts'
import { namespaceRoutes } from './namespace-routes.ts'
import { packageRoutes } from './package-routes.ts'
import { protocolRoutes } from './protocol-routes.ts'
import { repositoryRoutes } from './repository-routes.ts'
import type { Route } from './route.ts'
import { runnerRoutes } from './runner-routes.ts'
import { setupRoutes } from './setup-routes.ts'

/** A request below `/api/v4`, before it is known who asks. */
export interface RestRequest {
  method: string
  path: string
  query: URLSearchParams
  headers: Readonly<Record<string, string>>
  body: string
  ipAddress: string
  signal?: AbortSignal
}

export interface Matched {
  /** Undefined when no route has the path; a route of another method is a match with `allowed: false`. */
  route: Route | undefined
  allowed: boolean
  params: Record<string, string>
}

const ROUTES = [
  ...runnerRoutes,
  ...protocolRoutes,
  ...namespaceRoutes,
  ...memberRoutes,
  ...fileRoutes,
  ...packageRoutes,
  ...repositoryRoutes,
  ...setupRoutes,
].map(route => ({ route, segments: route.pattern.split('/') }))

/** Fixed words win over parameters: `/runners/all` is not a runner's id. HEAD is answered by the GET of the same path. */
export function matchRoute(method: string, path: string): Matched {
  const wanted = method === 'HEAD' ? 'GET' : method
  const parts = path.replace(/\/$/, '').split('/')
  const candidates = ROUTES.flatMap(({ route, segments }) => {
    const params = matchSegments(segments, parts)
    return params ? [{ route, params, parameters: Object.keys(params).length }] : []
  }).sort((a, b) => a.parameters - b.parameters)
  const match = candidates.find(({ route }) => route.method === wanted) ?? candidates[0]
  return match
    ? { route: match.route, allowed: match.route.method === wanted, params: match.params }
    : { route: undefined, allowed: false, params: {} }
}

/** Throws a Refusal for what GitLab refuses. */
export async function handleRest(context: Context, request: RestRequest, matched: Matched): Promise<Answer> {
  const { route, params, allowed } = matched
  if (!route) throw refusals.noRoute()
  if (!allowed) throw refusals.methodNotAllowed()
  const presented = route.auth === 'own' ? undefined : presentedToken(request.headers, request.query)
  const caller = authenticate(context, presented, scopesFor(context, route))
  if (!caller && route.auth === undefined) throw refusals.unauthorized()
  const input = readInput(request.query, request.headers['content-type'], request.body)
  return route.run(context, { ...request, params, input, caller, access: new Access(context, caller) })
}

/**
 * `manage_runner` is tied to a path that begins with `/api/v4/runners/`; under a relative URL no path does, and the
 * scope opens nothing. GitLab's refusal names all scopes of the endpoint nevertheless.
 */
function scopesFor(context: Context, route: Route): { all: Scope[]; usable: Scope[] } {
  const global: Scope[] = ['api', 'read_api']
  const own = route.scopes ?? []
  const underRoot = context.relativeRoot === ''
  return {
    all: [...new Set([...own, ...global])],
    usable: [
      'api',
      ...(route.method === 'GET' ? (['read_api'] as const) : []),
      ...own.filter(scope => scope !== 'manage_runner' || underRoot),
    ],
  }
}

function matchSegments(segments: readonly string[], parts: readonly string[]): Record<string, string> | undefined {
  if (segments.length !== parts.length) return undefined
  const params: Record<string, string> = {}
  for (const [at, segment] of segments.entries()) {
    const part = parts[at] ?? ''
    if (segment.startsWith(':')) {
      if (part === '') return undefined
      params[segment.slice(1)] = decode(part)
    } else if (segment !== part) {
      return undefined
    }
  }
  return params
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw refusals.parameter('path is invalid')
  }
}
