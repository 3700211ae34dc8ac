import type { GitLabUrl } from './endpoints.ts'
import { numericId } from './graphql.ts'
import type { Json } from './json.ts'
import type { Call, Sender } from './request.ts'
import { GitLabError } from './types.ts'

export type Namespace = 'group' | 'project'

/** GraphQL finds groups and projects by full path, the configuration names them by id. Paths change seldom: remembered. */
export interface Paths {
  find(kind: Namespace, id: number, signal: AbortSignal): Promise<string>
  /**
   * Passes on what GraphQL found under a path. Null, or the id of another group or project that has the path now, is
   * `not_found`, and the path is looked up again by the next call.
   */
  open(kind: Namespace, id: number, found: Json): Json
}

export function createPaths(sender: Sender, url: GitLabUrl): Paths {
  const known = new Map<string, string>()

  return {
    async find(kind, id, signal) {
      const key = `${kind} ${id}`
      const path = known.get(key) ?? (await sender.send(lookUp(url, kind, id), signal))
      known.set(key, path)
      return path
    },
    open(kind, id, found) {
      if (!found.isNull && numericId(found.get('id'), kind === 'group' ? 'Group' : 'Project') === id) return found
      known.delete(`${kind} ${id}`)
      throw notVisible(kind, id)
    },
  }
}

export function notVisible(kind: Namespace, name: number | string): GitLabError {
  const why = 'it does not exist, has moved, or the token may not see it'
  return new GitLabError('not_found', 'POST /api/graphql', `${kind} ${name}: ${why}`)
}

function lookUp(url: GitLabUrl, kind: Namespace, id: number): Call<string> {
  const common = { subject: `${kind} ${id}`, method: 'GET', safe: true } as const
  if (kind === 'group') {
    return {
      ...common,
      endpoint: 'GET /groups/:id',
      url: url.rest(['groups', id], { with_projects: false }),
      read: ({ json }) => json.get('full_path').string(),
    }
  }
  return {
    ...common,
    endpoint: 'GET /projects/:id',
    url: url.rest(['projects', id]),
    read: ({ json }) => json.get('path_with_namespace').string(),
  }
}
