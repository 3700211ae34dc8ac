import { json, noContent, refusals, text, type Answer } from '../answers.ts'
import type { Context } from '../context.ts'
import type { Project } from '../model.ts'
import { commitFiles } from '../repository/commits.ts'
import { RepositoryError, type FileAction } from '../repository/repository.ts'
import { fileFacts, fileHeaders } from './repository-entities.ts'
import { pathText, signedIn, type Call, type Route } from './route.ts'

const FILE = '/projects/:id/repository/files/:file_path'

/** The files API: one file per commit. The answers to writes name path and branch and nothing else. */
export const fileRoutes: readonly Route[] = [
  {
    method: 'GET',
    pattern: FILE,
    scopes: ['read_repository'],
    auth: 'public',
    run: (_context, call) => {
      call.input.require(['ref'])
      const { facts, content } = readFile(call, readableProject(call))
      return json(200, { ...facts, content: content.toString('base64') }, fileHeaders(facts))
    },
  },
  {
    method: 'GET',
    pattern: `${FILE}/raw`,
    scopes: ['read_repository'],
    auth: 'public',
    run: (_context, call) => {
      const { facts, content } = readFile(call, readableProject(call))
      return text(200, content.toString(), { ...fileHeaders(facts), 'cache-control': 'no-store, no-cache' })
    },
  },
  { method: 'POST', pattern: FILE, auth: 'public', run: (context, call) => write(context, call, 'create') },
  { method: 'PUT', pattern: FILE, auth: 'public', run: (context, call) => write(context, call, 'update') },
  { method: 'DELETE', pattern: FILE, auth: 'public', run: (context, call) => write(context, call, 'delete') },
]

/** Code of a private project is for Reporters and above. */
export function readableProject(call: Call): Project {
  const project = call.access.project(pathText(call, 'id'))
  if (!call.access.hasProjectRole(project, 'reporter')) throw refusals.forbidden()
  return project
}

/** Content of a write; an encoding that is not known is refused. */
export function readContent(content: string | undefined, encoding: string | undefined): Buffer {
  if (encoding !== undefined && encoding !== 'text' && encoding !== 'base64') {
    throw refusals.parameter('encoding does not have a valid value')
  }
  return Buffer.from(content ?? '', encoding === 'base64' ? 'base64' : 'utf8')
}

/** A 400 with the words of Git or of GitLab's service when they refuse the work. */
export function refusedByRepository<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof RepositoryError) throw refusals.message(400, error.message)
    throw error
  }
}

export function assertPath(path: string): string {
  if (path === '' || path.startsWith('/') || path.split('/').some(part => ['', '.', '..', '.git'].includes(part))) {
    throw refusals.parameter('file_path should be a valid file path')
  }
  return path
}

function readFile(call: Call, project: Project) {
  const path = pathText(call, 'file_path')
  const ref = call.input.string('ref') ?? 'HEAD'
  const commit = project.repository.resolve(ref)
  if (!commit) throw refusals.notFound('Commit')
  const blob = commit.files.get(path)
  if (!blob) throw refusals.notFound('File')
  return { facts: fileFacts(path, ref, commit, blob), content: blob.content }
}

function write(context: Context, call: Call, action: 'create' | 'update' | 'delete'): Answer {
  const project = call.access.project(pathText(call, 'id'))
  const caller = signedIn(call)
  const { input } = call
  input.require(['branch', 'commit_message', ...(action === 'delete' ? [] : ['content'])])
  if (!call.access.hasProjectRole(project, 'developer')) throw refusals.forbidden()
  const path = assertPath(pathText(call, 'file_path'))
  const branch = input.string('branch') ?? ''
  const startBranch = input.string('start_branch')
  const authorName = input.string('author_name')
  const authorEmail = input.string('author_email')
  const executable = input.boolean('execute_filemode')
  // A delete through this API takes no `last_commit_id`: it is not conditional, whatever the caller sends.
  const lastCommitId = action === 'delete' ? undefined : input.string('last_commit_id')
  const fileAction: FileAction = {
    action,
    path,
    ...(action !== 'delete' && { content: readContent(input.string('content'), input.string('encoding')) }),
    ...(executable !== undefined && { executable }),
  }
  refusedByRepository(() =>
    commitFiles({ context, access: call.access, caller }, project, {
      branch,
      ...(startBranch !== undefined && { startBranch }),
      force: false,
      message: input.string('commit_message') ?? '',
      ...(authorName !== undefined && { authorName }),
      ...(authorEmail !== undefined && { authorEmail }),
      actions: [{ ...fileAction, ...(lastCommitId !== undefined && { lastCommitId }) }],
      changedMessage: () => 'You are attempting to update a file that has changed since you started editing it.',
    }),
  )
  if (action === 'delete') return noContent()
  return json(action === 'create' ? 201 : 200, { file_path: path, branch })
}
