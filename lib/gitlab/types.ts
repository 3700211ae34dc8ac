/** GitLab's answers, reduced to what the programs use. Field meanings: GitLab's REST and GraphQL runner documentation. */

/** What GitLab says of one runner entity. Fields that an endpoint does not return are absent, never guessed. */
export interface GitLabRunner {
  id: number
  description: string | null
  paused: boolean
  /** GitLab's word: contacted within two hours. `null`: never contacted. */
  online: boolean | null
  tags: readonly string[]
  locked: boolean
  /** Milliseconds since 1970, GitLab's clock; `null`: never contacted. */
  contactedAtMs: number | null
}

/** One gitlab-runner process of a runner entity. */
export interface GitLabManager {
  systemId: string
  online: boolean
  contactedAtMs: number | null
}

/** A runner entity as a sidecar looks for its own. */
export interface RunnerCandidate {
  id: number
  description: string | null
  /** First eight characters of the runner's token without its prefix; absent where the API does not tell it. */
  shortSha?: string
  /** Whether a manager with the system id that was asked for exists; absent when none was asked for. */
  hasManager?: boolean
}

/**
 * A file's content on a branch, `null` when the branch or the file does not exist (never when the project cannot be
 * seen: that is an error). A file that is not text reads as an empty string.
 */
export type FileContent = string | null

export interface FileAddress {
  branch: string
  path: string
}

/** Whose runners are meant: those of one group, of one project, or the instance's own (only an administrator may list them). */
export type RunnerOwner = { group: number } | { runnersProject: number } | { instance: true }

/** A runner as a list shows it: `locked` only where the list tells it. */
export interface PoolRunner extends Omit<GitLabRunner, 'locked'> {
  locked?: boolean
}

/** One consistent look at everything that a decider's cycle needs: whole, or the reading fails. */
export interface PoolReading {
  /** GitLab's clock (`Date` header) when it answered, milliseconds since 1970; absent if the header was. */
  serverMs?: number
  /**
   * Every runner of the owner that carries at least one of the tags asked for; `contactedAtMs` only where `contactKnown`.
   * Read over REST a group's include the runners of ancestor groups, which the list cannot tell apart.
   */
  runners: readonly PoolRunner[]
  /**
   * False when `tags` holds only those of the tags asked for that a runner carries (REST lists name no tags). It must
   * then not be written back: that would strip the others. Ask `runner(id)` before a write.
   */
  tagsComplete: boolean
  /** False when the lists did not tell contact times (REST lists do not); ask `runner(id)` then. */
  contactKnown: boolean
  /** In the order asked for. */
  files: readonly FileContent[]
}

export type GitLabErrorKind =
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'conflict'
  | 'rate_limited'
  | 'unavailable'
  | 'invalid_answer'
  | 'refused'

/**
 * A call failed. `unavailable` is everything from a lost connection to a 5xx or a passed deadline: for a write it is
 * *ambiguous*, GitLab may have applied it. `refused` is a 400 or 422: GitLab understood and said no; nothing was applied.
 */
export class GitLabError extends Error {
  constructor(
    readonly kind: GitLabErrorKind,
    /** For people: `PUT /runners/:id`. Never holds the token nor a query string. */
    readonly endpoint: string,
    detail: string,
    readonly more: { status?: number; retryAfterMs?: number; cause?: unknown } = {},
  ) {
    super(`GitLab ${endpoint}: ${detail}`, more.cause === undefined ? undefined : { cause: more.cause })
    this.name = 'GitLabError'
  }

  /** True when the server may have carried the call out although it reported no success. */
  get ambiguous(): boolean {
    return this.kind === 'unavailable' || this.kind === 'invalid_answer'
  }
}

/** Exactly the calls the programs make. Every method rejects with GitLabError and nothing else. */
export interface GitLabClient {
  /** `GET /groups/:id/runners?per_page=1`: the `x-total` header; undefined where GitLab leaves it out (over 10,000). */
  groupRunnerTotal(group: number | string, signal?: AbortSignal): Promise<number | undefined>
  /** `GET /runners/:id`. */
  runner(id: number, signal?: AbortSignal): Promise<GitLabRunner>
  /**
   * One aliased GraphQL query: the runners and, of each, the one manager asked for. A runner is null when it is gone or
   * no longer visible to the token: GraphQL does not tell which.
   */
  runnersWithManager(
    wanted: readonly { id: number; systemId: string }[],
    signal?: AbortSignal,
  ): Promise<({ runner: GitLabRunner; manager: GitLabManager | null } | null)[]>
  /**
   * One page of a group's runners as a sidecar searches it. GraphQL: the group's own runners, `description` narrows on
   * the server, `systemId` fills `hasManager`. REST: with those of ancestor groups, not narrowed, `shortSha` and
   * `hasManager` absent. `cursor` from the previous page; `nextCursor` undefined on the last.
   */
  groupRunnerPage(
    group: number | string,
    search: { description?: string; systemId?: string; perPage: number; cursor?: string; via: 'graphql' | 'rest' },
    signal?: AbortSignal,
  ): Promise<{ runners: RunnerCandidate[]; nextCursor?: string }>
  /** `GET /runners/:id/managers` (not paginated; grows with the managers). */
  managers(id: number, signal?: AbortSignal): Promise<GitLabManager[]>
  /** Whole-list replacement by `PUT /runners/:id`. Answers with the runner as GitLab then has it. Never retried. */
  replaceTags(id: number, tags: readonly string[], signal?: AbortSignal): Promise<GitLabRunner>
  /** `PUT /runners/:id` with `locked` as it was read: changes nothing, wakes the runner's queue. Never retried. */
  wake(id: number, locked: boolean, signal?: AbortSignal): Promise<GitLabRunner>
  /** Runners by tag and files by branch: one GraphQL request while that works (paged), REST otherwise. */
  readPool(
    wanted: RunnerOwner & { project: number; tags: readonly string[]; files: readonly FileAddress[] },
    signal?: AbortSignal,
  ): Promise<PoolReading>
  /**
   * Moves `branch` to a new commit whose only parent is `startSha` and which adds `path` (commits API with `force`):
   * the branch stays one commit deep. Never retried.
   */
  replaceBranchFile(
    write: { project: number; branch: string; startSha: string; path: string; content: string; message: string },
    signal?: AbortSignal,
  ): Promise<{ commitId: string }>
  /** Adds a file that must not exist yet; the branch is started from `startBranch` when missing. `conflict`: it exists. */
  createFile(
    write: { project: number; branch: string; startBranch: string; path: string; content: string; message: string },
    signal?: AbortSignal,
  ): Promise<void>
  /**
   * Publishes a file of a generic package. Never retried here; a second upload of the same name becomes the newest file of
   * the package. `refused`: the name, or a namespace that allows no duplicates has it already.
   */
  putPackageFile(
    upload: { project: number; name: string; version: string; file: string; content: string },
    signal?: AbortSignal,
  ): Promise<void>
  /** Default branch of a project and the commit it points to. */
  defaultBranch(project: number, signal?: AbortSignal): Promise<{ name: string; commitId: string }>
  /** GitLab's clock in the newest answer, moved on by the local monotonic clock; undefined before the first answer. */
  serverNowMs(): number | undefined
}
