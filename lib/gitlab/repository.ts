import type { GitLabUrl } from './endpoints.ts'
import { ShapeError, type Json } from './json.ts'
import type { Sender } from './request.ts'
import { GitLabError, type FileAddress, type FileContent, type GitLabErrorKind } from './types.ts'

interface NewFile {
  project: number
  branch: string
  path: string
  content: string
  message: string
}

/** Files and branches of a project over REST. */
export interface Repository {
  file(project: number, address: FileAddress, signal: AbortSignal): Promise<FileContent>
  replaceBranchFile(write: NewFile & { startSha: string }, signal: AbortSignal): Promise<{ commitId: string }>
  createFile(write: NewFile & { startBranch: string }, signal: AbortSignal): Promise<void>
  defaultBranch(project: number, signal: AbortSignal): Promise<{ name: string; commitId: string }>
}

const CREATE_FILE = 'POST /projects/:id/repository/files/:path'

/** GitLab's exact words (`lib/api/files.rb`). Any other 404, that of an invisible project above all, stays an error. */
const NO_FILE = /^404 (File|Commit) Not Found$/i
const NO_BRANCH = /^404 Branch Not Found$/i
/** Not to be confused with `A branch called 'x' already exists`, which says nothing of the file. */
const FILE_EXISTS = /^(?!.*branch).*already exists/i
/** Gitaly's failures, a passed deadline among them, come as a 400 with the gRPC code in front: `4:Deadline Exceeded`. */
const GITALY_FAILED = /^\d{1,2}:/

export function createRepository(sender: Sender, url: GitLabUrl): Repository {
  /** Resolves to the commit that a branch points to; undefined when there is no such branch. */
  const branchCommit = (project: number, branch: string, signal: AbortSignal) =>
    sender.send<string | undefined>(
      {
        endpoint: 'GET /projects/:id/repository/branches/:branch',
        subject: `project ${project}, branch ${branch}`,
        method: 'GET',
        url: url.rest(['projects', project, 'repository', 'branches', branch]),
        safe: true,
        read: ({ json }) => json.get('commit').get('id').string(),
        absent: { reason: NO_BRANCH, value: undefined },
      },
      signal,
    )

  const file: Repository['file'] = (project, { branch, path }, signal) =>
    sender.send<FileContent>(
      {
        endpoint: 'GET /projects/:id/repository/files/:path',
        subject: `project ${project}, branch ${branch}, file ${path}`,
        method: 'GET',
        // In full, because a tag of the same name would otherwise win over the branch.
        url: url.rest(['projects', project, 'repository', 'files', path], { ref: `refs/heads/${branch}` }),
        safe: true,
        read: ({ json }) => decode(json),
        absent: { reason: NO_FILE, value: null },
      },
      signal,
    )

  const postFile = ({ project, branch, path, content, message }: NewFile, startBranch: string | undefined) => {
    const start = startBranch === undefined ? {} : { start_branch: startBranch }
    return (signal: AbortSignal) =>
      sender.send(
        {
          endpoint: CREATE_FILE,
          subject: `project ${project}, branch ${branch}, file ${path}`,
          method: 'POST',
          url: url.rest(['projects', project, 'repository', 'files', path]),
          body: { branch, ...start, content, commit_message: message },
          safe: false,
          read: ({ json }) => void json.get('file_path').string(),
          kindOf: (status, reason) =>
            status === 400 && FILE_EXISTS.test(reason) ? 'conflict' : commitFailureKind(status, reason),
        },
        signal,
      )
  }

  return {
    file,

    replaceBranchFile: ({ project, branch, startSha, path, content, message }, signal) =>
      sender.send(
        {
          endpoint: 'POST /projects/:id/repository/commits',
          subject: `project ${project}, branch ${branch}, file ${path}`,
          method: 'POST',
          url: url.rest(['projects', project, 'repository', 'commits']),
          body: {
            branch,
            start_sha: startSha,
            force: true,
            commit_message: message,
            actions: [{ action: 'create', file_path: path, content }],
            stats: false,
          },
          safe: false,
          read: ({ json }) => ({ commitId: json.get('id').string() }),
          kindOf: commitFailureKind,
        },
        signal,
      ),

    async createFile(write, signal) {
      const { project, branch, startBranch } = write
      try {
        await postFile(write, undefined)(signal)
        return
      } catch (error) {
        if (!isRefused(error)) throw error
        // GitLab's refusals are translated sentences, so what they mean is read from the repository itself.
        if ((await branchCommit(project, branch, signal)) !== undefined) {
          throw (await file(project, write, signal)) === null ? error : conflict(write, error)
        }
      }
      try {
        await postFile(write, startBranch)(signal)
      } catch (error) {
        // With a start GitLab refuses a branch that exists: somebody else has started it meanwhile.
        if (!isRefused(error) || (await branchCommit(project, branch, signal)) === undefined) throw error
        await postFile(write, undefined)(signal)
      }
    },

    async defaultBranch(project, signal) {
      const name = await sender.send(
        {
          endpoint: 'GET /projects/:id',
          subject: `project ${project}`,
          method: 'GET',
          url: url.rest(['projects', project]),
          safe: true,
          read({ json }) {
            const branch = json.get('default_branch')
            return branch.isMissing ? null : branch.nullable(name => name.string())
          },
        },
        signal,
      )
      if (name === null) throw noDefaultBranch(project, 'shows no default branch')
      const commitId = await branchCommit(project, name, signal)
      if (commitId === undefined) throw noDefaultBranch(project, `has no branch ${name}`)
      return { name, commitId }
    },
  }
}

function decode(json: Json): string {
  json.get('encoding').oneOf(['base64'])
  const bytes = Buffer.from(json.get('content').string(), 'base64')
  if (bytes.length !== json.get('size').integer()) throw new ShapeError('the content', 'as long as its size says')
  // Zero bytes are how git, and so GitLab's GraphQL, tells a file that is not text.
  return bytes.includes(0) ? '' : new TextDecoder().decode(bytes)
}

/** A commit that Gitaly did not answer in time may still have been made. */
function commitFailureKind(status: number, reason: string): GitLabErrorKind | undefined {
  return status === 400 && GITALY_FAILED.test(reason) ? 'unavailable' : undefined
}

function isRefused(error: unknown): boolean {
  return error instanceof GitLabError && error.kind === 'refused'
}

function conflict({ project, branch, path }: NewFile, cause: unknown): GitLabError {
  return new GitLabError('conflict', CREATE_FILE, `project ${project}, branch ${branch}: file ${path} exists`, {
    status: 400,
    cause,
  })
}

function noDefaultBranch(project: number, what: string): GitLabError {
  const why = 'it is empty, or the role of the token cannot read the repository'
  return new GitLabError('not_found', 'GET /projects/:id', `project ${project} ${what}: ${why}`)
}
