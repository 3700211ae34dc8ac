/** Every endpoint that is called, as errors and metrics name it: a closed set, so that it can be a metric's label. */
export const ENDPOINTS = [
  'GET /groups/:id',
  'GET /groups/:id/runners',
  'GET /projects/:id',
  'GET /projects/:id/runners',
  'GET /projects/:id/repository/branches/:branch',
  'GET /projects/:id/repository/files/:path',
  'POST /projects/:id/repository/files/:path',
  'POST /projects/:id/repository/commits',
  'GET /runners/all',
  'GET /runners/:id',
  'PUT /runners/:id',
  'GET /runners/:id/managers',
  'POST /api/graphql',
  'GET /user',
  'GET /personal_access_tokens/self',
  'GET /groups/:id/members/all/:user_id',
  'GET /projects/:id/protected_branches',
  'GET /projects/:id/repository/branches',
  'GET /projects/:id/repository/tree',
  'PUT /projects/:id/repository/files/:path',
  'GET /groups/:id/projects',
  'GET /projects/:id/jobs',
  'POST /projects/:id/runners',
  'DELETE /runners/:id',
  'DELETE /runners/managers',
  'PUT /projects/:id/packages/generic/:name/:version/:file',
] as const
export type Endpoint = (typeof ENDPOINTS)[number]

export interface GitLabUrl {
  /** Without a slash at the end: what GitLab calls itself, and where its pages begin. */
  root: string
  /** Absolute URL of a REST endpoint; every segment and every query value is encoded. */
  rest(segments: readonly (string | number)[], query?: Readonly<Record<string, string | number | boolean>>): string
  graphql: string
}

/**
 * Understands a GitLab's root or its `/api/v4`, with or without a path of its own (`https://host/gitlab`) and trailing
 * slashes. Throws for anything else; a URL with credentials is not repeated in the message.
 */
export function parseGitLabUrl(given: string): GitLabUrl {
  const url = URL.canParse(given) ? new URL(given) : undefined
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new Error('the GitLab URL must be absolute and begin with https:// or http://')
  }
  if (url.username !== '' || url.password !== '') {
    throw new Error(`the GitLab URL of ${url.host} holds credentials: remove them and configure a token instead`)
  }
  if (url.search !== '' || url.hash !== '') {
    throw new Error(`the GitLab URL ${url.origin}${url.pathname} must have no query and no fragment`)
  }
  const root = url.origin + url.pathname.replace(/\/+$/, '').replace(/\/api\/v4$/, '')
  return {
    root,
    rest(segments, query = {}) {
      const path = segments.map(segment => encodeURIComponent(segment)).join('/')
      const search = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
      return `${root}/api/v4/${path}${search.length === 0 ? '' : `?${search.join('&')}`}`
    },
    graphql: `${root}/api/graphql`,
  }
}
