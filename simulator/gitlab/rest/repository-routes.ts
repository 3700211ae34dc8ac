import { json, noContent, refusals } from '../answers.ts'
import type { Context } from '../context.ts'
import { asRecord, asString } from '../input.ts'
import type { Project } from '../model.ts'
import {
  commitFiles,
  isValidBranchName,
  mayPush,
  recordPush,
  rulesFor,
  type CheckedAction,
} from '../repository/commits.ts'
import type { Commit, FileAction } from '../repository/repository.ts'
import { assertPath, readableProject, readContent, refusedByRepository } from './file-routes.ts'
import { page } from './pages.ts'
import { branchItem, commitItem, treeEntries } from './repository-entities.ts'
import { pathText, signedIn, type Call, type Route } from './route.ts'

const BRANCHES = '/projects/:id/repository/branches'
const COMMITS = '/projects/:id/repository/commits'
const ACTIONS: readonly FileAction['action'][] = ['create', 'update', 'delete', 'move', 'chmod']

/** Branches, and the commits API: the only way to move a branch to a commit that does not build on it. */
export const repositoryRoutes: readonly Route[] = [
  {
    method: 'GET',
    pattern: BRANCHES,
    auth: 'public',
    run: (context, call) => {
      const project = readableProject(call)
      const matches = searchOf(call.input.string('search') ?? '')
      const names = project.repository.branchNames().filter(matches)
      const { items, headers } = page(context, call, names)
      return json(
        200,
        items.map(name => describeBranch(context, call, project, name)),
        headers,
      )
    },
  },
  {
    method: 'GET',
    pattern: `${BRANCHES}/:branch`,
    auth: 'public',
    run: (context, call) => json(200, describeBranch(context, call, readableProject(call), pathText(call, 'branch'))),
  },
  { method: 'POST', pattern: BRANCHES, run: createBranch },
  {
    method: 'DELETE',
    pattern: `${BRANCHES}/:branch`,
    run: (_context, call) => {
      const project = pushableProject(call)
      const name = pathText(call, 'branch')
      if (!project.repository.branch(name)) throw refusals.notFound('Branch')
      if (name === project.repository.defaultBranch) throw refusals.message(405, 'Cannot remove HEAD branch')
      if (rulesFor(project, name).length > 0) throw refusals.message(405, 'Protected branch cannot be removed')
      project.repository.deleteBranch(name)
      return noContent()
    },
  },
  {
    method: 'GET',
    pattern: '/projects/:id/repository/tree',
    auth: 'public',
    run: (context, call) => {
      const project = readableProject(call)
      const commit = project.repository.resolve(call.input.string('ref') ?? 'HEAD')
      if (!commit) throw refusals.notFound('Tree')
      const folder = (call.input.string('path') ?? '').replace(/^\/|\/$/g, '')
      const entries = treeEntries(commit, folder, call.input.boolean('recursive') ?? false)
      if (entries.length === 0 && folder !== '') throw refusals.notFound('Tree')
      const { items, headers } = page(context, call, entries)
      return json(200, items, headers)
    },
  },
  {
    method: 'GET',
    pattern: COMMITS,
    auth: 'public',
    run: (context, call) => {
      const project = readableProject(call)
      const from = project.repository.resolve(call.input.string('ref_name') ?? 'HEAD')
      if (!from) throw refusals.notFound()
      const path = call.input.string('path')
      const commits = [...project.repository.history(from)].filter(
        commit => path === undefined || commit.files.get(path)?.lastCommitId === commit.id,
      )
      const { items, headers } = page(context, call, commits, { uncounted: true })
      return json(
        200,
        items.map(commit => commitItem(context, project, commit)),
        headers,
      )
    },
  },
  {
    method: 'GET',
    pattern: `${COMMITS}/:sha`,
    auth: 'public',
    run: (context, call) => {
      const project = readableProject(call)
      const commit = project.repository.resolve(pathText(call, 'sha'))
      if (!commit) throw refusals.notFound('Commit')
      return json(200, commitItem(context, project, commit))
    },
  },
  { method: 'POST', pattern: COMMITS, auth: 'public', run: createCommit },
]

/** `^term` begins with it, `term$` ends with it, without either it is anywhere; letter case aside. */
function searchOf(search: string): (name: string) => boolean {
  const [, start, term = '', end] = /^(\^?)(.*?)(\$?)$/s.exec(search.toLowerCase()) ?? []
  return name => {
    const lower = name.toLowerCase()
    if (start && end) return lower === term
    return start ? lower.startsWith(term) : end ? lower.endsWith(term) : lower.includes(term)
  }
}

/** The right to push is refused with 403 before anything is looked at; what the service refuses is a 400. */
function createCommit(context: Context, call: Call) {
  const project = readableProject(call)
  const caller = signedIn(call)
  const { input } = call
  for (const name of ['branch', 'commit_message']) {
    if (!input.string(name)) throw refusals.message(400, `400 Bad request - ${name} is required`)
  }
  const branch = input.string('branch') ?? ''
  const by = { context, access: call.access, caller }
  if (!mayPush(by, project, branch)) throw refusals.forbidden('You are not allowed to push into this branch')
  const raw = input.raw('actions')
  const wanted = Array.isArray(raw) ? (raw as unknown[]) : []
  if (wanted.length === 0 && input.boolean('allow_empty') !== true) {
    throw refusals.message(400, '400 Bad request - Provide at least one action, or set allow_empty to true')
  }
  const startBranch = input.string('start_branch')
  const startSha = input.string('start_sha')
  const authorName = input.string('author_name')
  const authorEmail = input.string('author_email')
  const commit: Commit = refusedByRepository(() =>
    commitFiles(by, project, {
      branch,
      ...(startBranch !== undefined && { startBranch }),
      ...(startSha !== undefined && { startSha }),
      force: input.boolean('force') ?? false,
      message: input.string('commit_message') ?? '',
      ...(authorName !== undefined && { authorName }),
      ...(authorEmail !== undefined && { authorEmail }),
      actions: wanted.map(readAction),
      changedMessage: path => `The file has changed since you started editing it: ${path}`,
    }),
  )
  const withStats = input.boolean('stats') ?? true
  return json(201, {
    ...commitItem(context, project, commit),
    ...(withStats && { stats: { additions: 0, deletions: 0, total: 0 } }),
    status: null,
    project_id: project.id,
    last_pipeline: null,
  })
}

function readAction(value: unknown): CheckedAction {
  const fields = asRecord(value) ?? {}
  const action = ACTIONS.find(known => known === fields['action'])
  if (!action) throw refusals.message(400, `Unknown action '${asString(fields['action']) ?? ''}'`)
  const path = asString(fields['file_path'])
  if (!path) throw refusals.message(400, '400 Bad request - file_path is required')
  const previousPath = asString(fields['previous_path'])
  const content = asString(fields['content'])
  const lastCommitId = asString(fields['last_commit_id'])
  const executable = fields['execute_filemode']
  return {
    action,
    path: assertPath(path),
    ...(previousPath !== undefined && { previousPath }),
    ...(content !== undefined && { content: readContent(content, asString(fields['encoding'])) }),
    ...(lastCommitId !== undefined && { lastCommitId }),
    ...(typeof executable === 'boolean' && { executable }),
  }
}

function createBranch(context: Context, call: Call) {
  const project = pushableProject(call)
  const { input } = call
  input.require(['branch', 'ref'])
  const name = input.string('branch') ?? ''
  const ref = input.string('ref') ?? ''
  const { repository } = project
  if (!isValidBranchName(name)) throw refusals.message(400, 'Branch name is invalid')
  if (repository.branch(name)) throw refusals.message(400, 'Branch already exists')
  const failed = (why: string) => refusals.message(400, `Failed to create branch '${name}': ${why}`)
  const commit = repository.resolve(ref)
  if (!commit) throw failed(`invalid reference name '${ref}'`)
  if (repository.conflictsWithBranch(name)) throw failed('Branch name conflicts with existing branch hierarchy.')
  const by = { context, access: call.access, caller: signedIn(call) }
  if (!mayPush(by, project, name)) {
    throw refusals.message(400, 'You are not allowed to create protected branches on this project.')
  }
  repository.setBranch(name, commit)
  recordPush(by, project, name, commit, false)
  return json(201, describeBranch(context, call, project, name))
}

function pushableProject(call: Call): Project {
  const project = readableProject(call)
  if (!call.access.hasProjectRole(project, 'developer')) throw refusals.forbidden()
  return project
}

function describeBranch(context: Context, call: Call, project: Project, name: string) {
  const commit = project.repository.branch(name)
  if (!commit) throw refusals.notFound('Branch')
  const canPush =
    call.caller !== undefined && mayPush({ context, access: call.access, caller: call.caller }, project, name)
  return branchItem(context, project, name, commit, canPush)
}
