import type { Access, Caller } from '../access.ts'
import type { Context } from '../context.ts'
import { ROLES, type Project } from '../model.ts'
import { RepositoryError, type Commit, type FileAction } from './repository.ts'

/** An action of the commits API: with the check that the file has not changed since `lastCommitId`. */
export interface CheckedAction extends FileAction {
  lastCommitId?: string
}

export interface CommitRequest {
  branch: string
  startBranch?: string
  startSha?: string
  force: boolean
  message: string
  authorName?: string
  authorEmail?: string
  actions: readonly CheckedAction[]
  /** The sentence when an action's `lastCommitId` does not match; the files API and the commits API have different ones. */
  changedMessage: (path: string) => string
}

/** What a request is made with. */
export interface Committer {
  context: Context
  access: Access
  caller: Caller
}

/** GitLab's checks in GitLab's order, then the commit, then the branch. Throws RepositoryError with GitLab's words. */
export function commitFiles(by: Committer, project: Project, request: CommitRequest): Commit {
  const { repository } = project
  const { context, caller } = by
  if (!mayPush(by, project, request.branch)) throw new RepositoryError('You are not allowed to push into this branch')
  const start = startOf(project, request)
  const head = repository.branch(request.branch)
  const movesElsewhere = request.startSha !== undefined || (request.startBranch ?? request.branch) !== request.branch
  if (movesElsewhere && head && !request.force) {
    throw new RepositoryError(
      `A branch called '${request.branch}' already exists. Switch to that branch in order to make changes`,
    )
  }
  if (movesElsewhere && !isValidBranchName(request.branch)) {
    throw new RepositoryError(
      `Something went wrong when we tried to create '${request.branch}' for you: Branch name is invalid`,
    )
  }
  for (const { path, previousPath, lastCommitId } of request.actions) {
    if (lastCommitId !== undefined && hasChanged(project, start, previousPath ?? path, lastCommitId)) {
      throw new RepositoryError(request.changedMessage(path))
    }
  }
  const commit = repository.commit(start, request.actions, {
    message: request.message,
    author: {
      name: request.authorName ?? caller.token.name,
      email: request.authorEmail ?? `${caller.token.name}@noreply.gitlab.example`,
    },
    atMs: context.time.nowMs(),
  })
  const forced = head !== undefined && !repository.contains(commit, head.id)
  if (forced && !mayForcePush(project, request.branch)) {
    throw new RepositoryError('You are not allowed to force push code to a protected branch on this project.')
  }
  repository.setBranch(request.branch, commit)
  recordPush(by, project, request.branch, commit, forced)
  return commit
}

export function recordPush(by: Committer, project: Project, branch: string, commit: Commit, forced: boolean): void {
  by.context.observation.push({
    atMs: by.context.time.nowMs(),
    projectId: project.id,
    branch,
    commitId: commit.id,
    forced,
    skipCi: /\[(skip ci|ci skip)\]/i.test(commit.message),
    by: `token:${by.caller.token.name}`,
  })
}

/** Developer and above push; a protected branch asks for more, the most generous of its rules decides. */
export function mayPush({ access, caller }: Committer, project: Project, branch: string): boolean {
  if (!access.hasProjectRole(project, 'developer')) return false
  const rules = rulesFor(project, branch)
  if (rules.length === 0) return true
  return rules.some(({ pushTokenIds, pushRole }) =>
    pushTokenIds ? pushTokenIds.includes(caller.token.id) : access.projectLevel(project) >= ROLES[pushRole],
  )
}

export function isValidBranchName(name: string): boolean {
  return /^(?![-/.])(?!.*(\.\.|\/\/|@\{|\.lock(\/|$)|\/\.))[^\s~^:?*[\\\u007f]+(?<![/.])$/.test(name)
}

function mayForcePush(project: Project, branch: string): boolean {
  const rules = rulesFor(project, branch)
  return rules.length === 0 || rules.some(({ allowForce }) => allowForce)
}

export function rulesFor(project: Project, branch: string): Project['protectedBranches'] {
  return project.protectedBranches.filter(({ pattern }) => {
    const expression = pattern.split('*').map(part => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
    return new RegExp(`^${expression.join('.*')}$`).test(branch)
  })
}

function startOf(project: Project, { branch, startBranch, startSha }: CommitRequest): Commit {
  const { repository } = project
  if (startSha !== undefined) {
    if (startBranch !== undefined) throw new RepositoryError("You can't pass both start_branch and start_sha")
    if (!/^[0-9a-f]{40}$/i.test(startSha)) throw new RepositoryError(`Invalid start_sha '${startSha}'`)
    const commit = repository.commitById(startSha.toLowerCase())
    if (!commit) throw new RepositoryError(`Cannot find start_sha '${startSha}'`)
    return commit
  }
  const commit = repository.branch(startBranch ?? branch)
  if (!commit) throw new RepositoryError('You can only create or edit files when you are on a branch')
  return commit
}

/**
 * Compares the last commits of the path on the start and as seen from the given commit. When either side does not know
 * the path the check is skipped, in GitLab too: it is no compare-and-swap.
 */
function hasChanged(project: Project, start: Commit, path: string, lastCommitId: string): boolean {
  const here = start.files.get(path)?.lastCommitId
  const there = project.repository.resolve(lastCommitId)?.files.get(path)?.lastCommitId
  return here !== undefined && there !== undefined && here !== there
}
