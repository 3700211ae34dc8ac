import { createHash } from 'node:crypto'

/** A file in a tree. `lastCommitId` is the newest commit that changed this path. */
export interface Blob {
  readonly oid: string
  readonly content: Buffer
  readonly executable: boolean
  readonly lastCommitId: string
}

export interface Commit {
  readonly id: string
  readonly parentIds: readonly string[]
  readonly files: ReadonlyMap<string, Blob>
  readonly message: string
  readonly author: { name: string; email: string }
  readonly atMs: number
}

export interface FileAction {
  action: 'create' | 'update' | 'delete' | 'move' | 'chmod'
  path: string
  previousPath?: string
  content?: Buffer
  executable?: boolean
}

/** Replaced commits beyond this many are swept, as Git's housekeeping would. */
const MAX_LOOSE_COMMITS = 2_000

/** The words of the answer when Git refuses. */
export class RepositoryError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'RepositoryError'
  }
}

/** Commits and branches of one project, as far as GitLab's file and commit APIs reach. Linear history, no merges. */
export class Repository {
  readonly defaultBranch: string
  readonly #branches = new Map<string, string>()
  readonly #commits = new Map<string, Commit>()
  #sequence = 0

  /** A repository is born with its default branch and a README. */
  constructor(initial: { defaultBranch: string; title: string; author: Commit['author']; atMs: number }) {
    this.defaultBranch = initial.defaultBranch
    const content = Buffer.from(`# ${initial.title}\n`)
    this.#branches.set(
      initial.defaultBranch,
      this.#write(undefined, new Map([['README.md', { content, executable: false }]]), {
        message: 'Initial commit',
        author: initial.author,
        atMs: initial.atMs,
      }).id,
    )
  }

  branchNames(): string[] {
    return [...this.#branches.keys()].sort()
  }

  branch(name: string): Commit | undefined {
    const id = this.#branches.get(name)
    return id === undefined ? undefined : this.#commits.get(id)
  }

  /** A branch name, also in full as `refs/heads/NAME`, a full commit id, or `HEAD`. */
  resolve(reference: string): Commit | undefined {
    if (reference === 'HEAD') return this.branch(this.defaultBranch)
    if (reference.startsWith('refs/heads/')) return this.branch(reference.slice('refs/heads/'.length))
    return this.branch(reference) ?? this.#commits.get(reference)
  }

  commitById(id: string): Commit | undefined {
    return this.#commits.get(id)
  }

  /** From the commit back to the first one. */
  *history(from: Commit): Generator<Commit> {
    for (let commit: Commit | undefined = from; commit;) {
      yield commit
      commit = this.#commits.get(commit.parentIds[0] ?? '')
    }
  }

  contains(from: Commit, ancestorId: string): boolean {
    for (const { id } of this.history(from)) if (id === ancestorId) return true
    return false
  }

  /** Git keeps branches in folders: `hadr` and `hadr/a` cannot both exist. */
  conflictsWithBranch(name: string): boolean {
    return this.branchNames().some(other => other.startsWith(`${name}/`) || name.startsWith(`${other}/`))
  }

  setBranch(name: string, commit: Commit): void {
    if (!this.#branches.has(name) && this.conflictsWithBranch(name)) {
      throw new RepositoryError(`Branch name conflicts with existing branch hierarchy: ${name}`)
    }
    this.#branches.set(name, commit.id)
    this.#sweep()
  }

  deleteBranch(name: string): boolean {
    return this.#branches.delete(name)
  }

  /**
   * A commit on top of `parent`, not yet on any branch. Throws RepositoryError when an action does not fit the parent's
   * files. Actions that change nothing make an empty commit: Gitaly writes the tree without comparing.
   */
  commit(
    parent: Commit,
    actions: readonly FileAction[],
    about: { message: string; author: Commit['author']; atMs: number },
  ): Commit {
    const files = new Map<string, { content: Buffer; executable: boolean }>(parent.files)
    for (const action of actions) apply(files, action)
    return this.#write(parent, files, about)
  }

  #write(
    parent: Commit | undefined,
    files: ReadonlyMap<string, { content: Buffer; executable: boolean }>,
    about: { message: string; author: Commit['author']; atMs: number },
  ): Commit {
    const parentIds = parent ? [parent.id] : []
    const listing = [...files].map(([path, { content, executable }]) => [path, blobOid(content), executable] as const)
    const id = createHash('sha1')
      .update(JSON.stringify([parentIds, listing, about, this.#sequence++]))
      .digest('hex')
    const blobs = new Map<string, Blob>()
    for (const [path, oid, executable] of listing) {
      const before = parent?.files.get(path)
      const content = files.get(path)?.content ?? Buffer.alloc(0)
      const same = before?.oid === oid && before.executable === executable
      blobs.set(path, same ? before : { oid, content, executable, lastCommitId: id })
    }
    const commit: Commit = { id, parentIds, files: blobs, ...about }
    this.#commits.set(id, commit)
    return commit
  }

  #sweep(): void {
    if (this.#commits.size < 2 * MAX_LOOSE_COMMITS) return
    const reachable = new Set<string>()
    for (const name of this.#branches.keys()) {
      const head = this.branch(name)
      if (head) for (const { id } of this.history(head)) reachable.add(id)
    }
    const loose = [...this.#commits.keys()].filter(id => !reachable.has(id))
    for (const id of loose.slice(0, -MAX_LOOSE_COMMITS)) this.#commits.delete(id)
  }
}

/** Git's own name for a content. */
export function blobOid(content: Buffer): string {
  return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex')
}

function apply(files: Map<string, { content: Buffer; executable: boolean }>, action: FileAction): void {
  const { path } = action
  const existing = files.get(action.action === 'move' ? (action.previousPath ?? '') : path)
  if (action.action === 'create' || action.action === 'move') {
    if (files.has(path)) throw new RepositoryError('A file with this name already exists')
  }
  if (action.action !== 'create' && !existing) throw new RepositoryError("A file with this name doesn't exist")
  switch (action.action) {
    case 'create':
    case 'update':
      files.set(path, {
        content: action.content ?? Buffer.alloc(0),
        executable: action.executable ?? existing?.executable ?? false,
      })
      break
    case 'delete':
      files.delete(path)
      break
    case 'move':
      files.delete(action.previousPath ?? '')
      files.set(path, {
        content: action.content ?? existing?.content ?? Buffer.alloc(0),
        executable: existing?.executable ?? false,
      })
      break
    case 'chmod':
      files.set(path, { content: existing?.content ?? Buffer.alloc(0), executable: action.executable ?? false })
      break
  }
}
