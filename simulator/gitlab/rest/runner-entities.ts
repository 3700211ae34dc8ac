import type { Access } from '../access.ts'
import { contactedAtMs, isOnline, restStatusOf, statusOf } from '../contacts.ts'
import { isoTime, type Context } from '../context.ts'
import type { Manager, Runner } from '../model.ts'

/** A list element: no tags, no contact time, and never an address. Source: `lib/api/entities/ci/runner.rb`. */
export function runnerItem(context: Context, runner: Runner): Record<string, unknown> {
  const nowMs = context.time.nowMs()
  return {
    id: runner.id,
    description: runner.description,
    ip_address: null,
    active: !runner.paused,
    paused: runner.paused,
    is_shared: runner.type === 'instance_type',
    runner_type: runner.type,
    name: runner.name,
    online: isOnline(runner, nowMs, context.timing),
    status: restStatusOf(runner, nowMs, context.timing),
    job_execution_status: context.jobs.isRunningOn(runner) ? 'active' : 'idle',
    created_at: isoTime(context.time, runner.createdAtMs),
  }
}

/** Version and platform are those of the manager that spoke last; the answer to a PUT leaves the projects out. */
export function runnerDetails(
  context: Context,
  access: Access,
  runner: Runner,
  options: { includeProjects: boolean },
): Record<string, unknown> {
  const { store, time } = context
  const latest = [...runner.managers.values()].sort(
    (a, b) => (b.contact.cachedAtMs ?? 0) - (a.contact.cachedAtMs ?? 0),
  )[0]
  const projects = runner.projectIds
    .flatMap(id => store.projects.get(id) ?? [])
    .filter(project => access.hasProjectRole(project, 'guest'))
  const group = runner.groupId === null ? undefined : store.groups.get(runner.groupId)
  return {
    ...runnerItem(context, runner),
    tag_list: runner.tags,
    run_untagged: runner.runUntagged,
    locked: runner.locked,
    maximum_timeout: runner.maximumTimeoutSeconds,
    access_level: runner.accessLevel,
    version: latest?.info.version ?? null,
    revision: latest?.info.revision ?? null,
    platform: latest?.info.platform ?? null,
    architecture: latest?.info.architecture ?? null,
    contacted_at: isoTime(time, contactedAtMs(runner, time.nowMs())),
    maintenance_note: access.canUpdateRunner(runner) ? runner.maintenanceNote : null,
    ...(options.includeProjects && {
      projects: projects.map(({ id, fullPath }) => ({
        id,
        name: fullPath.split('/').at(-1),
        path_with_namespace: fullPath,
      })),
    }),
    groups:
      group && access.seesGroup(group)
        ? [
            {
              id: group.id,
              name: group.fullPath.split('/').at(-1),
              web_url: `${context.externalUrl}/groups/${group.fullPath}`,
            },
          ]
        : [],
  }
}

export function managerItem(context: Context, runner: Runner, manager: Manager): Record<string, unknown> {
  const { time, timing } = context
  const nowMs = time.nowMs()
  return {
    id: manager.id,
    system_id: manager.systemId,
    version: manager.info.version ?? null,
    revision: manager.info.revision ?? null,
    platform: manager.info.platform ?? null,
    architecture: manager.info.architecture ?? null,
    created_at: isoTime(time, manager.createdAtMs),
    contacted_at: isoTime(time, contactedAtMs(manager, nowMs)),
    ip_address: manager.ipAddress,
    status: statusOf(manager, nowMs, timing),
    job_execution_status: context.jobs.isRunningOn(runner, manager.systemId) ? 'active' : 'idle',
  }
}
