import { json, noContent, refusals } from '../answers.ts'
import { columnMatches } from '../contacts.ts'
import type { Context } from '../context.ts'
import type { Runner, RunnerStatus, RunnerType } from '../model.ts'
import { jobWithProject } from './job-entities.ts'
import { page } from './pages.ts'
import { callerName, pathId, pathText, type Call, type Route } from './route.ts'
import { managerItem, runnerDetails, runnerItem } from './runner-entities.ts'
import { readChanges } from './runner-input.ts'

const TYPES: readonly RunnerType[] = ['instance_type', 'group_type', 'project_type']
const STATUSES: readonly (RunnerStatus | 'active' | 'paused')[] = [
  'active',
  'paused',
  'online',
  'offline',
  'never_contacted',
  'stale',
]

/** The management side of runners. `manage_runner` opens what has a runner's id in its path, and no list. */
export const runnerRoutes: readonly Route[] = [
  {
    method: 'GET',
    pattern: '/runners',
    run: (context, call) =>
      list(context, call, runner => runner.type !== 'instance_type' && call.access.canUpdateRunner(runner)),
  },
  {
    method: 'GET',
    pattern: '/runners/all',
    run: (context, call) => {
      if (!call.caller?.token.admin) throw refusals.forbidden()
      return list(context, call, () => true)
    },
  },
  {
    method: 'GET',
    pattern: '/groups/:id/runners',
    run: (context, call) => {
      const group = call.access.group(pathText(call, 'id'))
      if (!call.access.hasGroupRole(group.id, 'maintainer')) throw refusals.forbidden()
      return list(
        context,
        call,
        ({ type, groupId }) =>
          type === 'instance_type' ||
          (type === 'group_type' && groupId !== null && context.store.isWithin(group.id, groupId)),
      )
    },
  },
  {
    method: 'GET',
    pattern: '/projects/:id/runners',
    run: (context, call) => {
      const project = call.access.project(pathText(call, 'id'))
      if (!call.access.hasProjectRole(project, 'maintainer')) throw refusals.forbidden()
      return list(context, call, runner => context.store.serves(runner, project))
    },
  },
  {
    method: 'POST',
    pattern: '/projects/:id/runners',
    run: (context, call) => {
      const project = call.access.project(pathText(call, 'id'))
      if (!call.access.hasProjectRole(project, 'maintainer')) throw refusals.forbidden()
      call.input.require(['runner_id'])
      const runner = context.store.runners.get(call.input.integer('runner_id') ?? 0)
      if (!runner) throw refusals.notFound('Runner')
      if (runner.type === 'instance_type') throw refusals.forbidden('Runner is an instance runner')
      if (runner.type === 'group_type') throw refusals.forbidden('Runner is a group runner')
      if (runner.locked) throw refusals.forbidden('Runner is locked')
      if (!call.access.canUpdateRunner(runner)) throw refusals.forbidden('No access granted')
      if (runner.projectIds.includes(project.id)) {
        throw refusals.message(400, { runner_id: ['has already been taken'] })
      }
      // As in GitLab the runner's queue is not woken by that.
      runner.projectIds = [...runner.projectIds, project.id]
      return json(201, runnerItem(context, runner))
    },
  },
  {
    method: 'GET',
    pattern: '/runners/:id',
    scopes: ['manage_runner'],
    run: (context, call) => {
      const runner = readable(context, call)
      const includeProjects = call.input.boolean('include_projects') ?? true
      return json(200, runnerDetails(context, call.access, runner, { includeProjects }))
    },
  },
  {
    method: 'PUT',
    pattern: '/runners/:id',
    scopes: ['manage_runner'],
    run: (context, call) => {
      const runner = existing(context, call)
      const changes = readChanges(call.input)
      if (!call.access.canUpdateRunner(runner)) throw refusals.forbidden('No access granted')
      context.runners.update(runner, changes, callerName(call))
      return json(200, runnerDetails(context, call.access, runner, { includeProjects: false }))
    },
  },
  {
    method: 'DELETE',
    pattern: '/runners/:id',
    scopes: ['manage_runner'],
    run: (context, call) => {
      const runner = existing(context, call)
      if (!call.access.canUpdateRunner(runner)) throw refusals.forbidden('No access granted')
      if (runner.projectIds.length > 1 && call.caller?.token.admin !== true) {
        throw refusals.forbidden('Runner associated with more than one project')
      }
      const unlessNewerThan = Date.parse(call.headers['if-unmodified-since'] ?? '')
      if (runner.updatedAtMs + context.time.skewMs > unlessNewerThan + 999) {
        throw refusals.message(412, '412 Precondition Failed')
      }
      context.runners.remove(runner, callerName(call))
      return noContent()
    },
  },
  {
    method: 'GET',
    pattern: '/runners/:id/managers',
    scopes: ['manage_runner'],
    run: (context, call) => {
      const runner = readable(context, call)
      return json(
        200,
        [...runner.managers.values()].map(manager => managerItem(context, runner, manager)),
      )
    },
  },
  {
    method: 'GET',
    pattern: '/runners/:id/jobs',
    scopes: ['manage_runner'],
    run: (context, call) => {
      const runner = existing(context, call)
      if (!call.access.canUpdateRunner(runner)) throw refusals.forbidden('No access granted')
      const status = call.input.oneOf('status', ['running', 'success', 'failed', 'canceled'])
      const systemId = call.input.string('system_id')
      const ascending = call.input.oneOf('sort', ['asc', 'desc']) === 'asc'
      const jobs = [...context.store.jobs.values()]
        .filter(job => job.runnerId === runner.id)
        .filter(job => status === undefined || job.status === status)
        .filter(job => systemId === undefined || job.systemId === systemId)
        .filter(({ projectId }) => {
          const project = context.store.projects.get(projectId)
          return project !== undefined && call.access.hasProjectRole(project, 'reporter')
        })
        .sort((a, b) => (ascending ? a.id - b.id : b.id - a.id))
      const { items, headers } = page(context, call, jobs, { uncounted: systemId !== undefined })
      return json(
        200,
        items.map(job => jobWithProject(context, job)),
        headers,
      )
    },
  },
  {
    method: 'POST',
    pattern: '/user/runners',
    scopes: ['create_runner'],
    run: (context, call) => {
      call.input.require(['runner_type'])
      const type = call.input.oneOf('runner_type', TYPES) ?? 'group_type'
      const owner = ownerOf(call, type)
      const runner = context.runners.create(
        { ...readChanges(call.input, { all: true }), ...owner, type, origin: 'user' },
        callerName(call),
      )
      return json(201, { id: runner.id, token: runner.token, token_expires_at: null })
    },
  },
]

function ownerOf(call: Call, type: RunnerType): { groupId?: number; projectIds?: number[] } {
  if (type === 'group_type') {
    call.input.require(['group_id'])
    const group = call.access.group(call.input.string('group_id') ?? '')
    if (!call.access.hasGroupRole(group.id, 'owner')) throw refusals.forbidden()
    return { groupId: group.id }
  }
  if (type === 'project_type') {
    call.input.require(['project_id'])
    const project = call.access.project(call.input.string('project_id') ?? '')
    if (!call.access.hasProjectRole(project, 'maintainer')) throw refusals.forbidden()
    return { projectIds: [project.id] }
  }
  if (!call.caller?.token.admin) throw refusals.forbidden()
  return {}
}

function existing(context: Context, call: Call): Runner {
  const runner = context.store.runners.get(pathId(call, 'id'))
  if (!runner) throw refusals.notFound('Runner')
  return runner
}

function readable(context: Context, call: Call): Runner {
  const runner = existing(context, call)
  if (!call.access.canReadRunner(runner)) throw refusals.forbidden('No access granted')
  return runner
}

/** The filter by status looks at the database column, the bodies at the cached contact: they can disagree. */
function list(context: Context, call: Call, belongs: (runner: Runner) => boolean) {
  const { input } = call
  const type = input.oneOf('type', TYPES)
  const status = input.oneOf('status', STATUSES)
  const paused = input.boolean('paused')
  const tags = input.list('tag_list')
  const hasStatus = (runner: Runner) =>
    status === 'active' || status === 'paused'
      ? runner.paused === (status === 'paused')
      : status === undefined || columnMatches(runner, status, context.time.nowMs(), context.timing)
  const rows = context.store.runnersWhere(
    runner =>
      belongs(runner) &&
      (type === undefined || runner.type === type) &&
      (paused === undefined || runner.paused === paused) &&
      (tags === undefined || tags.every(tag => runner.tags.includes(tag))) &&
      hasStatus(runner),
  )
  const { items, headers } = page(context, call, rows)
  return json(
    200,
    items.map(runner => runnerItem(context, runner)),
    headers,
  )
}
