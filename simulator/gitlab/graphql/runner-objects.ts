import { columnMatches, contactedAtMs, statusOf } from '../contacts.ts'
import type { Context } from '../context.ts'
import { shortSha, type Manager, type Runner, type RunnerStatus } from '../model.ts'
import { connect, type Connection, type PageArguments } from './connection.ts'

/** `ONLINE` and so on. */
export function enumValue(value: string): string {
  return value.toUpperCase()
}

export interface ManagerFilter extends PageArguments {
  systemId?: string | null
  status?: string | null
}

/** GitLab's GraphQL times have no fractions of a second. */
function time(context: Context, atMs: number | null): string | null {
  return atMs === null ? null : new Date(atMs + context.time.skewMs).toISOString().replace(/\.\d+Z$/, 'Z')
}

function executionStatus(context: Context, runner: Runner, systemId?: string): string {
  return context.jobs.isRunningOn(runner, systemId) ? 'ACTIVE' : 'IDLE'
}

/** A `CiRunner`; what is costly is a function, which GraphQL calls only when the field is asked for. */
export function runnerObject(context: Context, runner: Runner) {
  const nowMs = context.time.nowMs()
  return {
    id: `gid://gitlab/Ci::Runner/${runner.id}`,
    description: runner.description,
    shortSha: shortSha(runner),
    runnerType: enumValue(runner.type),
    paused: runner.paused,
    active: !runner.paused,
    status: enumValue(statusOf(runner, nowMs, context.timing)),
    jobExecutionStatus: () => executionStatus(context, runner),
    contactedAt: time(context, contactedAtMs(runner, nowMs)),
    createdAt: time(context, runner.createdAtMs),
    runUntagged: runner.runUntagged,
    locked: runner.locked,
    accessLevel: enumValue(runner.accessLevel),
    maximumTimeout: runner.maximumTimeoutSeconds,
    tagList: runner.tags,
    managers: (filter: ManagerFilter) => managers(context, runner, filter),
  }
}

function managers(context: Context, runner: Runner, filter: ManagerFilter): Connection<unknown> {
  const wanted = [...runner.managers.values()].filter(
    manager => (!filter.systemId || manager.systemId === filter.systemId) && hasStatus(context, manager, filter.status),
  )
  return connect(wanted, filter, {
    sortKey: ({ id }) => [id],
    node: manager => managerObject(context, runner, manager),
  })
}

function managerObject(context: Context, runner: Runner, manager: Manager) {
  const nowMs = context.time.nowMs()
  return {
    id: `gid://gitlab/Ci::RunnerManager/${manager.id}`,
    systemId: manager.systemId,
    status: enumValue(statusOf(manager, nowMs, context.timing)),
    jobExecutionStatus: () => executionStatus(context, runner, manager.systemId),
    contactedAt: time(context, contactedAtMs(manager, nowMs)),
    createdAt: time(context, manager.createdAtMs),
    ipAddress: manager.ipAddress,
    version: manager.info.version,
    revision: manager.info.revision,
    platformName: manager.info.platform,
    architectureName: manager.info.architecture,
    executorName: manager.info.executor,
  }
}

/** Filters by status look at the database column, as over REST. */
export function hasStatus(context: Context, item: Runner | Manager, status: string | null | undefined): boolean {
  if (!status) return true
  return columnMatches(item, status.toLowerCase() as RunnerStatus, context.time.nowMs(), context.timing)
}
