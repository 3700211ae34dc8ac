import { json, noContent, refusals } from '../answers.ts'
import type { Context } from '../context.ts'
import { asString } from '../input.ts'
import type { Job, ManagerInfo, Runner } from '../model.ts'
import type { NewRunner } from '../runners.ts'
import { jobPayload } from './job-entities.ts'
import { pathId, type Call, type Route } from './route.ts'
import { readChanges } from './runner-input.ts'

/** Stands in for a manager that tells no system id, as runners before 15.8 did. */
const LEGACY_SYSTEM_ID = '<legacy>'
const TRACE_UPDATE_SECONDS = '60'

/** What gitlab-runner itself calls. Tokens of runners and jobs travel as parameters; there is no user. */
export const protocolRoutes: readonly Route[] = [
  { method: 'POST', pattern: '/runners', auth: 'own', run: register },
  {
    method: 'DELETE',
    pattern: '/runners',
    auth: 'own',
    run: (context, call) => {
      const runner = runnerOf(context, call)
      context.runners.remove(runner, `runner:${runner.id}`)
      return noContent()
    },
  },
  {
    method: 'DELETE',
    pattern: '/runners/managers',
    auth: 'own',
    run: (context, call) => {
      const runner = runnerOf(context, call)
      call.input.require(['system_id'])
      if (!context.runners.removeManager(runner, call.input.string('system_id') ?? '')) {
        throw refusals.message(404, 'Runner manager not found')
      }
      return noContent()
    },
  },
  {
    method: 'POST',
    pattern: '/runners/verify',
    auth: 'own',
    run: (context, call) => {
      const runner = runnerOf(context, call)
      heartbeat(context, call, runner)
      return json(200, { id: runner.id, token: runner.token, token_expires_at: null })
    },
  },
  { method: 'POST', pattern: '/jobs/request', auth: 'own', run: requestJob },
  {
    method: 'PUT',
    pattern: '/jobs/:id',
    auth: 'own',
    run: (context, call) => {
      const job = runningJob(context, call, 'jobUpdate')
      const state = call.input.string('state')
      if (state === 'success' || state === 'failed') {
        const failureReason = call.input.string('failure_reason')
        const exitCode = call.input.integer('exit_code')
        context.jobs.finish(job, state, {
          ...(failureReason !== undefined && { failureReason }),
          ...(exitCode !== undefined && { exitCode }),
        })
      } else {
        context.jobs.touch(job)
      }
      return json(200, 200, { 'x-gitlab-trace-update-interval': TRACE_UPDATE_SECONDS, 'job-status': job.status })
    },
  },
  { method: 'PATCH', pattern: '/jobs/:id/trace', auth: 'own', run: appendTrace },
]

/**
 * Workhorse first: a poll that repeats the current queue value is kept and answered without Rails. What goes through
 * counts as a contact before anything else is decided.
 */
async function requestJob(context: Context, call: Call) {
  const { input } = call
  const polling = { 'gitlab-ci-builds-polling': 'yes' }
  const isJson = call.headers['content-type']?.startsWith('application/json') ?? false
  const token = input.string('token') ?? ''
  const lastUpdate = input.string('last_update') ?? ''
  if (isJson && (await context.queue.intercept(token, lastUpdate, call.signal)) === 'answered')
    return noContent(polling)

  context.limits.checkApplication('runnerJobsRequest', token)
  const runner = runnerOf(context, call)
  const manager = heartbeat(context, call, runner, { created: true })
  const queueValue = context.queue.ensure(runner.token)
  const nothing = noContent({ ...polling, 'x-gitlab-last-update': queueValue })
  if (runner.paused || queueValue === lastUpdate) return nothing
  const job = context.jobs.pick(runner, manager.systemId)
  return job ? json(201, jobPayload(context, runner, job), polling) : nothing
}

/** Only with a registration token, only while an administrator allows it: one new runner entity per call. */
function register(context: Context, call: Call) {
  const { input } = call
  input.require(['token'])
  if (!context.settings.allowRegistration) throw refusals.message(410, '410 Gone - runner registration disallowed')
  const owner = registrationOwner(context, input.string('token') ?? '')
  if (!owner) throw refusals.forbidden('invalid token supplied')
  const name = asString(input.hash('info')['name'])
  const runner = context.runners.create(
    { ...readChanges(input, { all: true }), ...owner, ...(name !== undefined && { name }), origin: 'registration' },
    'registration',
  )
  return json(201, { id: runner.id, token: runner.token, token_expires_at: null })
}

function registrationOwner(context: Context, token: string): Omit<NewRunner, 'origin'> | undefined {
  const { groups, projects } = context.store
  const group = [...groups.values()].find(({ registrationToken }) => registrationToken === token)
  if (group) return { type: 'group_type', groupId: group.id }
  const project = [...projects.values()].find(({ registrationToken }) => registrationToken === token)
  return project ? { type: 'project_type', projectIds: [project.id] } : undefined
}

function appendTrace(context: Context, call: Call) {
  const job = runningJob(context, call, 'jobTrace')
  const range = call.headers['content-range']
  if (range === undefined) throw refusals.message(400, '400 Missing header Content-Range')
  const sizes = { range: `0-${job.trace.length}`, 'job-status': job.status }
  const start = Number(/^(\d+)-/.exec(range)?.[1])
  if (start !== job.trace.length) {
    return json(416, { message: '416 Range Not Satisfiable' }, sizes)
  }
  job.trace += call.body
  context.jobs.touch(job)
  return json(202, null, {
    ...sizes,
    range: `0-${job.trace.length}`,
    'x-gitlab-trace-update-interval': TRACE_UPDATE_SECONDS,
  })
}

function runnerOf(context: Context, call: Call): Runner {
  call.input.require(['token'])
  const runner = context.store.runnerByToken(call.input.string('token') ?? '')
  if (!runner) throw refusals.forbidden()
  return runner
}

/** The job of the path, if the token is its own and it still runs; GitLab answers 403, never 404, to stop a runner. */
function runningJob(context: Context, call: Call, limit: 'jobTrace' | 'jobUpdate'): Job {
  const job = context.store.jobs.get(pathId(call, 'id'))
  const token = call.input.string('token') ?? call.headers['job-token']
  context.limits.checkApplication(limit, token ?? '')
  if (job?.token !== token || job === undefined) throw refusals.forbidden()
  if (job.status !== 'running') throw refusals.forbidden('Job is not running', { 'job-status': job.status })
  const runner = job.runnerId === null ? undefined : context.store.runners.get(job.runnerId)
  if (runner) {
    context.runners.heartbeat(runner, { systemId: job.systemId ?? LEGACY_SYSTEM_ID, ipAddress: call.ipAddress })
  }
  return job
}

function heartbeat(context: Context, call: Call, runner: Runner, options: { created?: boolean } = {}) {
  return context.runners.heartbeat(runner, {
    systemId: call.input.string('system_id') ?? LEGACY_SYSTEM_ID,
    ipAddress: call.ipAddress,
    info: managerInfo(call.input.hash('info')),
    ...options,
  })
}

function managerInfo(info: Readonly<Record<string, unknown>>): ManagerInfo {
  const names = ['version', 'revision', 'platform', 'architecture', 'executor'] as const
  return Object.fromEntries(
    names.flatMap(name => {
      const value = asString(info[name])
      return value === undefined ? [] : [[name, value]]
    }),
  )
}
