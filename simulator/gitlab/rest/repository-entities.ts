import { createHash } from 'node:crypto'
import { isoTime, type Context } from '../context.ts'
import type { Project } from '../model.ts'
import { rulesFor } from '../repository/commits.ts'
import type { Blob, Commit } from '../repository/repository.ts'

export function commitItem(context: Context, project: Project, commit: Commit): Record<string, unknown> {
  const at = isoTime(context.time, commit.atMs)
  return {
    id: commit.id,
    short_id: commit.id.slice(0, 8),
    created_at: at,
    parent_ids: commit.parentIds,
    title: commit.message.split('\n')[0],
    message: commit.message,
    author_name: commit.author.name,
    author_email: commit.author.email,
    authored_date: at,
    committer_name: commit.author.name,
    committer_email: commit.author.email,
    committed_date: at,
    trailers: {},
    extended_trailers: {},
    web_url: `${context.externalUrl}/${project.fullPath}/-/commit/${commit.id}`,
  }
}

export function branchItem(
  context: Context,
  project: Project,
  name: string,
  commit: Commit,
  canPush: boolean,
): Record<string, unknown> {
  return {
    name,
    commit: commitItem(context, project, commit),
    merged: false,
    protected: rulesFor(project, name).length > 0,
    developers_can_push: false,
    developers_can_merge: false,
    can_push: canPush,
    default: name === project.repository.defaultBranch,
    web_url: `${context.externalUrl}/${project.fullPath}/-/tree/${name}`,
  }
}

/** What the files API says of a file, without its content. */
export interface FileFacts {
  file_name: string
  file_path: string
  size: number
  encoding: 'base64'
  content_sha256: string
  ref: string
  blob_id: string
  commit_id: string
  last_commit_id: string
  execute_filemode: boolean
}

export function fileFacts(path: string, ref: string, commit: Commit, blob: Blob): FileFacts {
  return {
    file_name: path.split('/').at(-1) ?? path,
    file_path: path,
    size: blob.content.length,
    encoding: 'base64',
    content_sha256: createHash('sha256').update(blob.content).digest('hex'),
    ref,
    blob_id: blob.oid,
    commit_id: commit.id,
    last_commit_id: blob.lastCommitId,
    execute_filemode: blob.executable,
  }
}

/** The same facts as headers: `X-Gitlab-Blob-Id` and so on. */
export function fileHeaders(facts: FileFacts): Record<string, string> {
  return Object.fromEntries(
    Object.entries(facts).map(([name, value]) => [`x-gitlab-${name.replaceAll('_', '-')}`, String(value)]),
  )
}

interface TreeEntry {
  id: string
  name: string
  type: 'tree' | 'blob'
  path: string
  mode: string
}

/** What a folder holds, folders first, as `GET …/repository/tree` lists it; all below it when `recursive`. */
export function treeEntries(commit: Commit, folder: string, recursive: boolean): TreeEntry[] {
  const trees = new Map<string, TreeEntry>()
  const blobs: TreeEntry[] = []
  const prefix = folder === '' ? '' : `${folder}/`
  for (const [path, { oid, executable }] of commit.files) {
    if (!path.startsWith(prefix)) continue
    const parts = path.slice(prefix.length).split('/')
    for (let depth = 1; depth < (recursive ? parts.length : Math.min(2, parts.length)); depth++) {
      const tree = prefix + parts.slice(0, depth).join('/')
      const id = createHash('sha1').update(`${commit.id} ${tree}`).digest('hex')
      trees.set(tree, { id, name: parts[depth - 1] ?? '', type: 'tree', path: tree, mode: '040000' })
    }
    if (recursive || parts.length === 1) {
      blobs.push({ id: oid, name: parts.at(-1) ?? '', type: 'blob', path, mode: executable ? '100755' : '100644' })
    }
  }
  const byPath = (a: TreeEntry, b: TreeEntry) => (a.path < b.path ? -1 : 1)
  return [...[...trees.values()].sort(byPath), ...blobs.sort(byPath)]
}
