import { isExpired, roleLevel } from '../access.ts'
import { json, refusals } from '../answers.ts'
import { isoTime, type Context } from '../context.ts'
import { SCOPES, type Group, type JobStatus, type Project } from '../model.ts'
import { jobDetails } from './job-entities.ts'
import { page } from './pages.ts'
import { callerName, pathId, pathText, signedIn, type Call, type Route } from './route.ts'

const JOB_SCOPES: readonly JobStatus[] = ['pending', 'running', 'success', 'failed', 'canceled']

/** Groups, projects and the jobs of projects; and what a token can ask about itself and the instance. */
export const namespaceRoutes: readonly Route[] = [
  {
    method: 'GET',
    pattern: '/groups/:id',
    auth: 'public',
    run: (context, call) => json(200, groupItem(context, call.access.group(pathText(call, 'id')))),
  },
  {
    method: 'GET',
    pattern: '/groups/:id/projects',
    run: (context, call) => {
      const group = call.access.group(pathText(call, 'id'))
      const below = call.input.boolean('include_subgroups') ?? false
      const ascending = call.input.oneOf('sort', ['asc', 'desc']) === 'asc'
      const projects = [...context.store.projects.values()]
        .filter(({ groupId }) => (below ? context.store.isWithin(groupId, group.id) : groupId === group.id))
        .filter(project => call.access.hasProjectRole(project, 'guest'))
        .sort((a, b) => (ascending ? a.id - b.id : b.id - a.id))
      const { items, headers } = page(context, call, projects)
      return json(
        200,
        items.map(project => projectItem(context, project, call)),
        headers,
      )
    },
  },
  {
    method: 'GET',
    pattern: '/projects/:id',
    auth: 'public',
    run: (context, call) => {
      const project = call.access.project(pathText(call, 'id'))
      return json(200, projectItem(context, project, call))
    },
  },
  {
    method: 'GET',
    pattern: '/projects/:id/jobs',
    run: (context, call) => {
      const project = readableJobs(call)
      context.limits.checkApplication('projectJobs', callerName(call))
      const scopes = call.input.list('scope')
      if (scopes?.some(scope => !JOB_SCOPES.some(known => known === scope))) {
        throw refusals.parameter('scope does not have a valid value')
      }
      const jobs = [...context.store.jobs.values()]
        .filter(job => job.projectId === project.id && (scopes === undefined || scopes.includes(job.status)))
        .sort((a, b) => b.id - a.id)
      const { items, headers } = page(context, call, jobs, { uncounted: true })
      return json(
        200,
        items.map(job => jobDetails(context, job)),
        headers,
      )
    },
  },
  {
    method: 'GET',
    pattern: '/projects/:id/jobs/:job_id',
    run: (context, call) => {
      const project = readableJobs(call)
      const job = context.store.jobs.get(pathId(call, 'job_id'))
      if (job?.projectId !== project.id) throw refusals.notFound()
      return json(200, jobDetails(context, job))
    },
  },
  { method: 'GET', pattern: '/version', run: () => json(200, { version: '19.4.0', revision: '0000000' }) },
  {
    method: 'GET',
    pattern: '/personal_access_tokens/self',
    scopes: SCOPES,
    run: (context, call) => {
      const { token } = signedIn(call)
      return json(200, {
        id: token.id,
        name: token.name,
        revoked: token.revoked,
        scopes: [...token.scopes],
        active: !token.revoked && !isExpired(context, token),
        user_id: token.id,
        expires_at: isoTime(context.time, token.expiresAtMs)?.slice(0, 10) ?? null,
      })
    },
  },
]

/** Jobs of a private project are for Reporters and above. */
function readableJobs(call: Call): Project {
  const project = call.access.project(pathText(call, 'id'))
  if (!call.access.hasProjectRole(project, 'reporter')) throw refusals.forbidden()
  return project
}

function groupItem(context: Context, group: Group): Record<string, unknown> {
  const name = group.fullPath.split('/').at(-1)
  return {
    id: group.id,
    name,
    path: name,
    full_name: context.store
      .lineage(group.id)
      .map(({ fullPath }) => fullPath.split('/').at(-1))
      .reverse()
      .join(' / '),
    full_path: group.fullPath,
    parent_id: group.parentId,
    visibility: 'private',
    web_url: `${context.externalUrl}/groups/${group.fullPath}`,
    created_at: isoTime(context.time, group.createdAtMs),
  }
}

/** Who may not read the code is told nothing of the branches. */
export function projectItem(context: Context, project: Project, call: Call): Record<string, unknown> {
  const readsCode = call.access.hasProjectRole(project, 'reporter')
  const name = project.fullPath.split('/').at(-1)
  const group = project.groupId === null ? undefined : context.store.groups.get(project.groupId)
  return {
    id: project.id,
    name,
    path: name,
    path_with_namespace: project.fullPath,
    ...(readsCode && { default_branch: project.repository.defaultBranch }),
    visibility: project.visibility,
    empty_repo: false,
    archived: false,
    web_url: `${context.externalUrl}/${project.fullPath}`,
    namespace: group ? { id: group.id, kind: 'group', full_path: group.fullPath } : null,
    created_at: isoTime(context.time, project.createdAtMs),
    // Only to somebody who is signed in; the direct role and the highest one of the groups above, each null without.
    ...(call.caller && {
      permissions: {
        project_access: access(roleLevel(call.caller.token.projects.get(project.id))),
        group_access: access(call.access.groupLevel(project.groupId)),
      },
    }),
  }
}

function access(level: number): { access_level: number; notification_level: number } | null {
  return level === 0 ? null : { access_level: level, notification_level: 3 }
}
