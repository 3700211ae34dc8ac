import { openAccess, type GitLabClientOptions } from './access.ts'
import type { Json } from './json.ts'
import { PAGE_SIZE } from './pages.ts'
import type { Call } from './request.ts'
import { listedRunner, managerFromRest, runnerFromRest } from './runner-shape.ts'
import { GitLabError, type GitLabManager, type GitLabRunner } from './types.ts'

/** A job that waits for a runner. */
export interface PendingJob {
  id: number
  tags: readonly string[]
}

/** A manager and what it does. */
export interface BusyManager extends GitLabManager {
  /** GitLab's word; undefined: this GitLab is too old to tell. */
  busy: boolean | undefined
}

/** A runner entity with what its removal or assignment depends on. */
export interface FleetRunner extends GitLabRunner {
  type: string
  createdAtMs: number | undefined
  /** Ids of the projects that a project runner is assigned to, as far as the token may see them. */
  projectIds: readonly number[]
}

/**
 * What the decider's fleet asks of GitLab, beside what its cycle does. A client of its own: its waiting times and limits
 * hold nothing else up. Reads are repeated once, writes never. Every method rejects with GitLabError and nothing else.
 */
export interface GitLabFleet {
  /**
   * `GET /projects/:id/jobs?scope[]=pending`. `whole` is false when there are more than are worth reading: then there are
   * at least these.
   */
  pendingJobs(project: number, signal?: AbortSignal): Promise<{ jobs: PendingJob[]; whole: boolean }>
  /** `GET /runners/:id/managers`. */
  managers(runner: number, signal?: AbortSignal): Promise<BusyManager[]>
  /** `GET /runners/:id` with its projects. */
  runner(id: number, signal?: AbortSignal): Promise<FleetRunner>
  /** Ids of all projects of a group and of its subgroups that are not archived; rejects unless all pages were read. */
  groupProjects(group: number, signal?: AbortSignal): Promise<number[]>
  /** `POST /projects/:id/runners`: assigns a project runner. */
  assign(project: number, runner: number, signal?: AbortSignal): Promise<void>
  /** `PUT /runners/:id` with `locked` as it was read: changes nothing, wakes the runner's queue. */
  wake(runner: number, locked: boolean, signal?: AbortSignal): Promise<void>
  /** `DELETE /runners/:id`. */
  removeRunner(runner: number, signal?: AbortSignal): Promise<void>
  /** `DELETE /runners/managers`, which only the runner's own token may. */
  removeManager(runnerToken: string, systemId: string, signal?: AbortSignal): Promise<void>
}

const USUAL = { deadlineMs: 10_000, maxResponseBytes: 8 * 1024 * 1024 }
/** A thousand waiting jobs of one project ask for every manager there may be. */
const MAX_JOB_PAGES = 10
const MAX_PROJECT_PAGES = 100

/** Throws when the URL is wrong. */
export function createGitLabFleet(options: GitLabClientOptions): GitLabFleet {
  const { url, sender, call: bounded, list } = openAccess(options, USUAL)
  const send = <T>(call: Call<T>, signal?: AbortSignal) =>
    bounded(call.endpoint, signal, inner => sender.send(call, inner))

  const write = (call: Omit<Call<void>, 'safe' | 'read'>, signal?: AbortSignal) =>
    send({ ...call, safe: false, read: () => undefined }, signal)

  return {
    pendingJobs: (project, signal) =>
      bounded('GET /projects/:id/jobs', signal, async inner => {
        const { items, whole } = await list(
          {
            endpoint: 'GET /projects/:id/jobs',
            subject: `pending jobs of project ${project}`,
            at: page => url.rest(['projects', project, 'jobs'], { 'scope[]': 'pending', per_page: PAGE_SIZE, page }),
          },
          MAX_JOB_PAGES,
          inner,
        )
        // The newest come first, so that a job created meanwhile pushes another one onto the next page, twice.
        const jobs = new Map(items.map(item => [item.get('id').integer(), pendingJob(item)]))
        return { jobs: [...jobs.values()], whole }
      }),
    managers: (runner, signal) =>
      send(
        {
          endpoint: 'GET /runners/:id/managers',
          subject: `managers of runner ${runner}`,
          method: 'GET',
          url: url.rest(['runners', runner, 'managers']),
          safe: true,
          read: ({ json }) => json.items().map(busyManager),
        },
        signal,
      ),
    runner: (id, signal) =>
      send(
        {
          endpoint: 'GET /runners/:id',
          subject: `runner ${id}`,
          method: 'GET',
          url: url.rest(['runners', id]),
          safe: true,
          read: ({ json }) => fleetRunner(json),
        },
        signal,
      ),
    groupProjects: (group, signal) =>
      bounded('GET /groups/:id/projects', signal, async inner => {
        const { items, whole } = await list(
          {
            endpoint: 'GET /groups/:id/projects',
            subject: `projects of group ${group}`,
            at: page =>
              url.rest(['groups', group, 'projects'], {
                include_subgroups: true,
                archived: false,
                simple: true,
                order_by: 'id',
                sort: 'asc',
                per_page: PAGE_SIZE,
                page,
              }),
          },
          MAX_PROJECT_PAGES,
          inner,
        )
        if (!whole) {
          const most = MAX_PROJECT_PAGES * PAGE_SIZE
          throw new GitLabError(
            'invalid_answer',
            'GET /groups/:id/projects',
            `group ${group} has more than ${most} projects`,
          )
        }
        return items.map(item => item.get('id').integer())
      }),
    assign: (project, runner, signal) =>
      write(
        {
          endpoint: 'POST /projects/:id/runners',
          subject: `runner ${runner} for project ${project}`,
          method: 'POST',
          url: url.rest(['projects', project, 'runners']),
          body: { runner_id: runner },
        },
        signal,
      ),
    wake: (runner, locked, signal) =>
      write(
        {
          endpoint: 'PUT /runners/:id',
          subject: `runner ${runner}`,
          method: 'PUT',
          url: url.rest(['runners', runner]),
          body: { locked },
        },
        signal,
      ),
    removeRunner: (runner, signal) =>
      write(
        {
          endpoint: 'DELETE /runners/:id',
          subject: `runner ${runner}`,
          method: 'DELETE',
          url: url.rest(['runners', runner]),
        },
        signal,
      ),
    removeManager: (runnerToken, systemId, signal) =>
      write(
        {
          endpoint: 'DELETE /runners/managers',
          subject: `manager ${systemId}`,
          method: 'DELETE',
          url: url.rest(['runners', 'managers']),
          body: { token: runnerToken, system_id: systemId },
        },
        signal,
      ),
  }
}

function pendingJob(json: Json): PendingJob {
  return {
    id: json.get('id').integer(),
    tags: json
      .get('tag_list')
      .items()
      .map(item => item.string()),
  }
}

function busyManager(json: Json): BusyManager {
  const status = json.get('job_execution_status')
  const busy = status.isMissing || status.isNull ? undefined : status.oneOf(['active', 'idle']) === 'active'
  return { ...managerFromRest(json), busy }
}

function fleetRunner(json: Json): FleetRunner {
  const created = json.get('created_at')
  const projects = json.get('projects')
  return {
    ...listedRunner(json),
    ...runnerFromRest(json),
    type: json.get('runner_type').string(),
    createdAtMs: created.isMissing || created.isNull ? undefined : created.timeMs(),
    projectIds: projects.isMissing ? [] : projects.items().map(project => project.get('id').integer()),
  }
}
