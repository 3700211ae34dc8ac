import type { Repository } from './repository/repository.ts'

export type RunnerType = 'instance_type' | 'group_type' | 'project_type'
export type AccessLevel = 'not_protected' | 'ref_protected'
export type RunnerStatus = 'online' | 'offline' | 'never_contacted' | 'stale'
export type JobStatus = 'pending' | 'running' | 'success' | 'failed' | 'canceled'

export const ROLES = { guest: 10, reporter: 20, developer: 30, maintainer: 40, owner: 50 } as const
export type Role = keyof typeof ROLES

export const SCOPES = [
  'api',
  'read_api',
  'manage_runner',
  'create_runner',
  'read_repository',
  'write_repository',
] as const
export type Scope = (typeof SCOPES)[number]

export interface Group {
  readonly id: number
  readonly fullPath: string
  readonly parentId: number | null
  readonly registrationToken: string
  readonly createdAtMs: number
}

/** Who may push to the branches that `pattern` matches (`*` is a wildcard), as GitLab's protected branches have it. */
export interface ProtectedBranch {
  readonly pattern: string
  /** Ids of the tokens that may push; without the list everyone with `pushRole` may. */
  readonly pushTokenIds?: readonly number[]
  readonly pushRole: Role
  readonly allowForce: boolean
}

export type Visibility = 'private' | 'internal' | 'public'

export interface Project {
  readonly id: number
  readonly fullPath: string
  /** Told, and that is all: who is no member sees nothing, whatever it says. */
  readonly visibility: Visibility
  readonly groupId: number | null
  readonly registrationToken: string
  readonly createdAtMs: number
  readonly repository: Repository
  readonly protectedBranches: ProtectedBranch[]
}

export interface AccessToken {
  readonly id: number
  readonly token: string
  readonly name: string
  readonly scopes: ReadonlySet<Scope>
  readonly groups: ReadonlyMap<number, Role>
  readonly projects: ReadonlyMap<number, Role>
  readonly admin: boolean
  readonly expiresAtMs: number | null
  revoked: boolean
}

/** Where a contact is kept: Redis at every contact, the database column only now and then. */
export interface Contact {
  cachedAtMs: number | null
  columnMs: number | null
  /** Set by the first `POST /jobs/request`; GraphQL says `NEVER_CONTACTED` before, whatever the contact time. */
  created: boolean
}

export interface Runner {
  readonly id: number
  readonly token: string
  readonly type: RunnerType
  readonly groupId: number | null
  projectIds: readonly number[]
  readonly createdAtMs: number
  readonly contact: Contact
  readonly managers: Map<string, Manager>
  name: string | null
  description: string | null
  tags: readonly string[]
  paused: boolean
  runUntagged: boolean
  locked: boolean
  accessLevel: AccessLevel
  maximumTimeoutSeconds: number | null
  maintenanceNote: string | null
  updatedAtMs: number
}

export interface Manager {
  readonly id: number
  readonly runnerId: number
  readonly systemId: string
  readonly createdAtMs: number
  readonly contact: Contact
  ipAddress: string | null
  info: ManagerInfo
}

/** What a manager says of itself in `info`; all of it is optional on the wire. */
export interface ManagerInfo {
  readonly version?: string
  readonly revision?: string
  readonly platform?: string
  readonly architecture?: string
  readonly executor?: string
}

export interface Job {
  readonly id: number
  readonly token: string
  readonly name: string
  readonly projectId: number
  readonly tags: readonly string[]
  readonly protected: boolean
  /** How long a simulated runner should work on it. */
  readonly durationMs: number
  readonly createdAtMs: number
  status: JobStatus
  runnerId: number | null
  systemId: string | null
  startedAtMs: number | null
  finishedAtMs: number | null
  updatedAtMs: number
  failureReason: string | null
  exitCode: number | null
  trace: string
}

/** One upload to the generic package registry. */
export interface PackageFile {
  readonly projectId: number
  readonly name: string
  readonly version: string
  readonly file: string
  readonly content: string
}

/** `glrt-t2_abcdefgh…` and `t2_abcdefgh…` are both shown as `abcdefgh`. */
export function shortSha(runner: Runner): string {
  return runner.token
    .replace(/^glrt-/, '')
    .replace(/^t\d_/, '')
    .slice(0, 8)
}
