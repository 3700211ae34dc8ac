import { GraphQLError } from 'graphql'
import type { Access } from '../access.ts'
import { contactedAtMs } from '../contacts.ts'
import type { Context } from '../context.ts'
import type { Group, Project, Runner } from '../model.ts'
import { isValidBranchName } from '../repository/commits.ts'
import type { Blob } from '../repository/repository.ts'
import { connect, type PageArguments, type SortKey } from './connection.ts'
import { enumValue, hasStatus, runnerObject } from './runner-objects.ts'

interface RunnerFilter extends PageArguments {
  paused?: boolean | null
  status?: string | null
  type?: string | null
  tagList?: readonly string[] | null
  search?: string | null
  sort?: string | null
  membership?: string | null
}

interface BlobsQuery extends PageArguments {
  paths: readonly string[]
  ref?: string | null
}

const NOT_AVAILABLE =
  "The resource that you are attempting to access does not exist or you don't have permission to perform this action"

/** The root of a query. What the caller may not see is null without an error; a list that is refused is an error. */
export function createRoot(context: Context, access: Access, isAdmin: boolean) {
  const { store } = context
  return {
    group: ({ fullPath }: { fullPath: string }) => {
      const group = /^\d+$/.test(fullPath) ? undefined : store.group(fullPath)
      return group && access.seesGroup(group) ? groupObject(context, access, group) : null
    },
    project: ({ fullPath }: { fullPath: string }) => {
      const project = /^\d+$/.test(fullPath) ? undefined : store.project(fullPath)
      return project && access.hasProjectRole(project, 'guest') ? projectObject(context, access, project) : null
    },
    runner: ({ id }: { id: string }) => {
      const runner = store.runners.get(Number(id.split('/').at(-1)))
      return runner && access.canReadRunner(runner) ? runnerObject(context, runner) : null
    },
    runners: (filter: RunnerFilter) => {
      if (!isAdmin) throw new GraphQLError(NOT_AVAILABLE)
      return runnerConnection(context, access, filter, () => true)
    },
  }
}

function groupObject(context: Context, access: Access, group: Group) {
  const name = group.fullPath.split('/').at(-1)
  return {
    id: `gid://gitlab/Group/${group.id}`,
    name,
    path: name,
    fullPath: group.fullPath,
    runners: (filter: RunnerFilter) => {
      if (!access.hasGroupRole(group.id, 'maintainer')) throw new GraphQLError(NOT_AVAILABLE)
      return runnerConnection(context, access, filter, runner => isMember(context, group, runner, filter.membership))
    },
  }
}

/** Without a `membership` the list goes down the tree; the REST list of the same group goes up. */
function isMember(context: Context, group: Group, runner: Runner, membership: string | null | undefined): boolean {
  const { store } = context
  switch (membership) {
    case 'DIRECT':
      return runner.groupId === group.id
    case 'ALL_AVAILABLE':
      return runner.type === 'instance_type' || (runner.groupId !== null && store.isWithin(group.id, runner.groupId))
    default:
      return (
        store.isWithin(runner.groupId, group.id) ||
        runner.projectIds.some(id => store.isWithin(store.projects.get(id)?.groupId ?? null, group.id))
      )
  }
}

function runnerConnection(
  context: Context,
  access: Access,
  filter: RunnerFilter,
  belongs: (runner: Runner) => boolean,
) {
  const { tagList, search } = filter
  const wanted = context.store.runnersWhere(
    runner =>
      belongs(runner) &&
      access.canReadRunner(runner) &&
      (typeof filter.paused !== 'boolean' || runner.paused === filter.paused) &&
      (!filter.type || enumValue(runner.type) === filter.type) &&
      (!tagList || tagList.every(tag => runner.tags.includes(tag))) &&
      (!search || isFound(runner, search)) &&
      hasStatus(context, runner, filter.status),
  )
  return connect(wanted, filter, {
    sortKey: order(context, filter.sort ?? 'CREATED_DESC'),
    node: runner => runnerObject(context, runner),
  })
}

/** The whole token, or every word of at least three letters somewhere in the description; shorter ones must be all of it. */
function isFound({ token, description }: Runner, search: string): boolean {
  if (token === search) return true
  const text = description?.toLowerCase() ?? ''
  const words = search
    .toLowerCase()
    .split(/\s+/)
    .filter(word => word.length >= 3)
  return words.length > 0 ? words.every(word => text.includes(word)) : text === search.toLowerCase()
}

function order(context: Context, sort: string): (runner: Runner) => SortKey {
  const contact = (runner: Runner) => contactedAtMs(runner, context.time.nowMs()) ?? 0
  const value = sort.startsWith('CONTACTED') ? contact : ({ createdAtMs }: Runner) => createdAtMs
  const direction = sort.endsWith('ASC') ? 1 : -1
  return runner => [direction * value(runner), direction * runner.id]
}

function projectObject(context: Context, access: Access, project: Project) {
  const name = project.fullPath.split('/').at(-1)
  return {
    id: `gid://gitlab/Project/${project.id}`,
    name,
    path: name,
    fullPath: project.fullPath,
    runners: (filter: RunnerFilter) => {
      if (!access.hasProjectRole(project, 'maintainer')) throw new GraphQLError(NOT_AVAILABLE)
      return runnerConnection(context, access, filter, runner => context.store.serves(runner, project))
    },
    repository: () => (access.hasProjectRole(project, 'reporter') ? repositoryObject(project) : null),
  }
}

/** A path or a ref that does not exist leaves its node out, silently; a ref that cannot exist is an error. */
function repositoryObject({ repository }: Project) {
  return {
    rootRef: repository.defaultBranch,
    empty: false,
    exists: true,
    blobs: (query: BlobsQuery) => {
      const ref = query.ref ?? repository.defaultBranch
      if (ref !== 'HEAD' && !isValidBranchName(ref)) throw new GraphQLError('Ref is not valid')
      const files = repository.resolve(ref)?.files
      const found = query.paths.flatMap((path, at) => {
        const blob = files?.get(path)
        return blob ? [{ at, path, blob }] : []
      })
      return connect(found, query, {
        sortKey: ({ at }) => [at],
        node: ({ path, blob }) => blobObject(path, blob),
      })
    },
  }
}

function blobObject(path: string, blob: Blob) {
  return {
    id: `gid://gitlab/Blob/${blob.oid}`,
    oid: blob.oid,
    path,
    name: path.split('/').at(-1),
    mode: blob.executable ? '100755' : '100644',
    size: String(blob.content.length),
    rawSize: String(blob.content.length),
    rawBlob: () => blob.content.toString(),
    rawTextBlob: () => (blob.content.includes(0) ? null : blob.content.toString()),
  }
}
