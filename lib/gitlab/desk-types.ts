import type { GitLabRunner } from './types.ts'

/** GitLab's access levels: Reporter 20, Developer 30, Maintainer 40, Owner 50; 0 is none. */
export type RoleLevel = number

export interface TokenFacts {
  userId: number
  scopes: readonly string[]
  /** The day, in UTC, at whose beginning it expires; null: never. */
  expiresOn: string | null
}

export interface ProjectFacts {
  path: string
  visibility: string
  /** Null: the repository is empty, or the token may not read it. */
  defaultBranch: string | null
  /** The highest role of the token's user; 0 for an administrator who is no member, too. */
  role: RoleLevel
}

export interface BranchFacts {
  name: string
  commitId: string
  /** GitLab's clock when the commit was made. */
  committedMs: number
  protected: boolean
  /** Whether this token's user may push to it. */
  canPush: boolean
}

/** A protected branch or wildcard. */
export interface BranchRule {
  pattern: string
  allowForcePush: boolean
  /** Who may push: a role, or one user or group on the paid tiers. */
  push: readonly { level: RoleLevel; everybodyOfRole: boolean }[]
}

export interface StoredFile {
  content: string
  /** The newest commit that changed it: what a later save is measured against. */
  lastCommitId: string
}

/**
 * The calls of the commands for people, from a laptop or a terminal; the programs never make them. Rejects with
 * GitLabError and nothing else.
 */
export interface GitLabDesk {
  /** Who the token is. */
  user(signal?: AbortSignal): Promise<{ id: number; username: string }>
  /** Readable by a token of any scope; only personal, project and group access tokens have it. */
  token(signal?: AbortSignal): Promise<TokenFacts>
  project(id: number | string, signal?: AbortSignal): Promise<ProjectFacts & { id: number }>
  /** 0 when the user is no member. */
  groupRole(group: number, userId: number, signal?: AbortSignal): Promise<RoleLevel>
  /** Branches whose name begins with `prefix`. */
  branches(project: number, prefix: string, signal?: AbortSignal): Promise<BranchFacts[]>
  /** For Maintainers of the project; `forbidden` for others. */
  branchRules(project: number, signal?: AbortSignal): Promise<BranchRule[]>
  /** Paths of all files of a branch, below all folders; empty when there is no such branch. */
  paths(project: number, branch: string, signal?: AbortSignal): Promise<string[]>
  /** `ref`: a commit, or a branch as `refs/heads/…`. Null when the ref or the file does not exist. */
  file(project: number, ref: string, path: string, signal?: AbortSignal): Promise<StoredFile | null>
  /**
   * Commits the whole file. `base` is the `lastCommitId` that the new content was made from, null when there was no file.
   * `conflict`: somebody changed it since. Never retried.
   */
  save(
    write: { project: number; branch: string; path: string; content: string; message: string; base: string | null },
    signal?: AbortSignal,
  ): Promise<void>
  runner(id: number, signal?: AbortSignal): Promise<GitLabRunner>
  /** GitLab's clock in the newest answer, moved on by the local monotonic clock; undefined before the first answer. */
  serverNowMs(): number | undefined
}
