import { openAccess, type GitLabClientOptions } from './access.ts'
import { branchFacts, branchRule, optional, roleIn } from './desk-shape.ts'
import type { GitLabDesk, RoleLevel, StoredFile } from './desk-types.ts'
import { MAX_PAGES, PAGE_SIZE } from './pages.ts'
import type { Call } from './request.ts'
import { runnerFromRest } from './runner-shape.ts'
import { GitLabError } from './types.ts'

const USUAL = { deadlineMs: 10_000, maxResponseBytes: 4 * 1024 * 1024 }

/** GitLab's words where a file or its branch is missing; that of an invisible project stays an error. */
const NO_FILE = /^404 (File|Commit) Not Found$/i
const NO_TREE = /^404 (Tree|Commit) Not Found$/i
const NO_MEMBER = /^404( Member)? Not Found$/i

/** Throws when the URL is wrong. */
export function createGitLabDesk(options: GitLabClientOptions): GitLabDesk {
  const { url, sender, call: bounded, list } = openAccess(options, USUAL)
  const send = <T>(call: Omit<Call<T>, 'safe'> & { safe?: boolean }, signal?: AbortSignal) =>
    bounded(call.endpoint, signal, inner => sender.send({ safe: true, ...call }, inner))

  const file: GitLabDesk['file'] = (project, ref, path, signal) =>
    send<StoredFile | null>(
      {
        endpoint: 'GET /projects/:id/repository/files/:path',
        subject: `project ${project}, ${ref}, file ${path}`,
        method: 'GET',
        url: url.rest(['projects', project, 'repository', 'files', path], { ref }),
        read: ({ json }) => ({
          content: Buffer.from(json.get('content').string(), 'base64').toString('utf8'),
          lastCommitId: json.get('last_commit_id').string(),
        }),
        absent: { reason: NO_FILE, value: null },
      },
      signal,
    )

  return {
    file,

    user: signal =>
      send(
        {
          endpoint: 'GET /user',
          subject: 'the token’s user',
          method: 'GET',
          url: url.rest(['user']),
          read: ({ json }) => ({ id: json.get('id').integer(), username: json.get('username').string() }),
        },
        signal,
      ),

    token: signal =>
      send(
        {
          endpoint: 'GET /personal_access_tokens/self',
          subject: 'the token',
          method: 'GET',
          url: url.rest(['personal_access_tokens', 'self']),
          read: ({ json }) => ({
            userId: json.get('user_id').integer(),
            scopes: json
              .get('scopes')
              .items()
              .map(scope => scope.string()),
            expiresOn: json.get('expires_at').nullable(day => day.string()),
          }),
        },
        signal,
      ),

    project: (id, signal) =>
      send(
        {
          endpoint: 'GET /projects/:id',
          subject: `project ${id}`,
          method: 'GET',
          url: url.rest(['projects', id]),
          read: ({ json }) => ({
            id: json.get('id').integer(),
            path: json.get('path_with_namespace').string(),
            visibility: json.get('visibility').string(),
            defaultBranch: optional(json.get('default_branch'), name => name.string()),
            role: roleIn(json.get('permissions')),
          }),
        },
        signal,
      ),

    groupRole: (group, userId, signal) =>
      send<RoleLevel>(
        {
          endpoint: 'GET /groups/:id/members/all/:user_id',
          subject: `group ${group}, user ${userId}`,
          method: 'GET',
          url: url.rest(['groups', group, 'members', 'all', userId]),
          read: ({ json }) => json.get('access_level').integer(),
          absent: { reason: NO_MEMBER, value: 0 },
        },
        signal,
      ),

    branches: (project, prefix, signal) => {
      const endpoint = 'GET /projects/:id/repository/branches'
      const at = (page: number) =>
        url.rest(['projects', project, 'repository', 'branches'], { search: `^${prefix}`, per_page: PAGE_SIZE, page })
      return bounded(endpoint, signal, async inner => {
        const { items } = await list({ endpoint, subject: `branches of project ${project}`, at }, MAX_PAGES, inner)
        return items.map(branchFacts).filter(({ name }) => name.startsWith(prefix))
      })
    },

    branchRules: (project, signal) => {
      const endpoint = 'GET /projects/:id/protected_branches'
      const at = (page: number) => url.rest(['projects', project, 'protected_branches'], { per_page: PAGE_SIZE, page })
      return bounded(endpoint, signal, async inner => {
        const { items } = await list(
          { endpoint, subject: `protected branches of project ${project}`, at },
          MAX_PAGES,
          inner,
        )
        return items.map(branchRule)
      })
    },

    paths: (project, branch, signal) => {
      const endpoint = 'GET /projects/:id/repository/tree'
      const query = { ref: `refs/heads/${branch}`, recursive: true, per_page: PAGE_SIZE }
      const at = (page: number) => url.rest(['projects', project, 'repository', 'tree'], { ...query, page })
      return bounded(endpoint, signal, async inner => {
        const subject = `files of project ${project}, branch ${branch}`
        const { items } = await list({ endpoint, subject, absent: NO_TREE, at }, MAX_PAGES, inner)
        return items.filter(item => item.get('type').string() === 'blob').map(item => item.get('path').string())
      })
    },

    save: async (write, signal) => {
      const { project, branch, path, content, message, base } = write
      const endpoint =
        base === null ? 'POST /projects/:id/repository/files/:path' : 'PUT /projects/:id/repository/files/:path'
      try {
        await send(
          {
            endpoint,
            subject: `project ${project}, branch ${branch}, file ${path}`,
            method: base === null ? 'POST' : 'PUT',
            url: url.rest(['projects', project, 'repository', 'files', path]),
            body: { branch, content, commit_message: message, ...(base !== null && { last_commit_id: base }) },
            safe: false,
            read: ({ json }) => void json.get('file_path').string(),
          },
          signal,
        )
      } catch (error) {
        // GitLab's refusals are translated sentences, so whether it was a lost race is read from the file itself.
        if (!(error instanceof GitLabError) || error.kind !== 'refused') throw error
        const now = await file(project, `refs/heads/${branch}`, path, signal)
        if ((now?.lastCommitId ?? null) === base) throw error
        throw new GitLabError('conflict', endpoint, `file ${path} was changed meanwhile`, { status: 400, cause: error })
      }
    },

    runner: (id, signal) =>
      send(
        {
          endpoint: 'GET /runners/:id',
          subject: `runner ${id}`,
          method: 'GET',
          url: url.rest(['runners', id], { include_projects: false }),
          read: ({ json }) => runnerFromRest(json),
        },
        signal,
      ),

    serverNowMs: sender.serverNowMs,
  }
}
