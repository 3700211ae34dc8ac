import type { Context } from './context.ts'
import type { Throttle } from './limits.ts'
import type { AccessToken, Group, Job, PackageFile, Project, Role, Runner, Scope, Visibility } from './model.ts'
import type { CountQuery, JobChange, SeenPush, SeenRequest, TagChange } from './observation.ts'
import { idTokenOf, type IdTokenChanges } from './openid.ts'
import { Repository } from './repository/repository.ts'
import type { RunnerChanges } from './runners.ts'
import { uniqueHex } from './timing.ts'

type Reference = number | string

export interface NewToken {
  token: string
  /** What the request log calls it (`token:NAME`); made up when missing. */
  name?: string
  scopes: readonly Scope[]
  /** Role per group id; inherited by all that is below the group. */
  groups?: Readonly<Record<number, Role>>
  projects?: Readonly<Record<number, Role>>
  admin?: boolean
  /** On GitLab's clock. */
  expiresAtMs?: number
}

/** One of `group`, `project` or `instance` says whose runner it is. */
export interface AddRunner extends RunnerChanges {
  id?: number
  /** `glrt-…` when missing: an entity created in GitLab, shared by all pods that know the token. */
  token?: string
  group?: Reference
  project?: Reference
  instance?: boolean
}

/**
 * The administrator's and the observer's side of a simulated GitLab. What it does happens at once, without permission
 * checks and without faults; what it returns are GitLab's own records, to be read only.
 */
export interface GitLabState {
  addGroup(group: { id?: number; fullPath: string; parent?: Reference; registrationToken?: string }): Group
  /** With a repository: a README on `main`, which Maintainers may push to and nobody may force-push. */
  addProject(project: {
    id?: number
    fullPath: string
    group?: Reference
    registrationToken?: string
    visibility?: Visibility
  }): Project
  addToken(token: NewToken): AccessToken
  revokeToken(token: string): void
  addRunner(runner: AddRunner): Runner
  addJob(job: {
    project: Reference
    tags: readonly string[]
    name?: string
    durationMs?: number
    protected?: boolean
  }): Job
  cancelJob(id: number): void
  /** An `id_token` of the job for this `aud`, as its `.gitlab-ci.yml` would ask for. `changes` make it a false one. */
  idToken(jobId: number, audience: string, changes?: IdTokenChanges): string
  /** A new key signs from now on, and the old one is not published any more. */
  rotateSigningKey(): void
  /** Uploads to the generic package registry, oldest first. */
  packageFiles(project: Reference): PackageFile[]
  /** Whether a file of a generic package may be uploaded again; GitLab's default is yes. */
  allowDuplicatePackages(allowed: boolean): void
  runner(id: number): Runner
  runners(): Runner[]
  job(id: number): Job
  jobs(): Job[]
  /** An edit in the web interface, with GitLab's validation and its waking of the runner; `by` is `admin`. */
  editRunner(id: number, changes: RunnerChanges): void
  removeRunner(id: number): void
  /** A protected branch or wildcard. Without `pushTokens` every Maintainer may push. */
  protect(rule: {
    project: Reference
    branch: string
    pushTokens?: readonly string[]
    pushRole?: Role
    allowForce?: boolean
  }): void
  /** Takes the rule of that name away again. */
  unprotect(project: Reference, branch: string): void
  /** Undefined when the branch or the file does not exist. */
  readFile(project: Reference, branch: string, path: string): string | undefined
  /** How many commits the branch has, 0 when it does not exist. */
  commitCount(project: Reference, branch: string): number
  branches(project: Reference): string[]
  /** `POST /runners` answers 410 unless this is allowed, as in GitLab since 17.0. */
  allowRegistration(allowed: boolean): void
  graphql(enabled: boolean): void
  /** Rack::Attack's throttle for authenticated API requests, per token; off until set, as in GitLab. */
  throttle(limit: Throttle | undefined): void
  /** How far GitLab's clock is off; shifts the `Date` header and every timestamp. */
  setClockSkew(ms: number): void
  /** Milliseconds since 1970 by GitLab's clock, skew included. */
  nowMs(): number
  /** What the hourly worker does: fails stuck and abandoned jobs, forgets managers that are gone for a week. */
  runHousekeeping(): void
  /** Bounded logs; the oldest entries go first. */
  readonly requests: readonly SeenRequest[]
  readonly tagHistory: readonly TagChange[]
  readonly pushes: readonly SeenPush[]
  /** Requests that matched all that is given; counts since the start, whatever the log has dropped. */
  count(query?: CountQuery): number
  onTagChange(listener: (change: TagChange) => void): () => void
  onJobChange(listener: (change: JobChange) => void): () => void
}

export function createState(context: Context): GitLabState {
  const { store, observation, time } = context
  const group = (reference: Reference) => needed(store.group(reference), 'group', reference)
  const project = (reference: Reference) => needed(store.project(reference), 'project', reference)
  const runner = (id: number) => needed(store.runners.get(id), 'runner', id)
  const job = (id: number) => needed(store.jobs.get(id), 'job', id)
  const registrationToken = (given: string | undefined, own: number) =>
    given ?? `GR1348941${uniqueHex(context.random, own, 20)}`

  return {
    addGroup: ({ id, fullPath, parent, registrationToken: token }) => {
      const groupId = store.nextId('group', id)
      const added: Group = {
        id: groupId,
        fullPath,
        parentId: parent === undefined ? null : group(parent).id,
        registrationToken: registrationToken(token, groupId),
        createdAtMs: time.nowMs(),
      }
      store.groups.set(added.id, added)
      return added
    },
    addProject: ({ id, fullPath, group: owner, registrationToken: token, visibility = 'private' }) => {
      const atMs = time.nowMs()
      const projectId = store.nextId('project', id)
      const added: Project = {
        id: projectId,
        fullPath,
        visibility,
        groupId: owner === undefined ? null : group(owner).id,
        registrationToken: registrationToken(token, projectId),
        createdAtMs: atMs,
        repository: new Repository({
          defaultBranch: 'main',
          title: fullPath.split('/').at(-1) ?? fullPath,
          author: { name: 'Administrator', email: 'admin@gitlab.example' },
          atMs,
        }),
        protectedBranches: [{ pattern: 'main', pushRole: 'maintainer', allowForce: false }],
      }
      store.projects.set(added.id, added)
      return added
    },
    addToken: wanted => {
      const id = store.nextId('token')
      const roles = (given: Readonly<Record<number, Role>> = {}) =>
        new Map(Object.entries(given).map(([key, role]) => [Number(key), role]))
      const added: AccessToken = {
        id,
        token: wanted.token,
        name: wanted.name ?? `token-${id}`,
        scopes: new Set(wanted.scopes),
        groups: roles(wanted.groups),
        projects: roles(wanted.projects),
        admin: wanted.admin ?? false,
        expiresAtMs: wanted.expiresAtMs === undefined ? null : wanted.expiresAtMs - time.skewMs,
        revoked: false,
      }
      store.tokens.set(added.token, added)
      return added
    },
    revokeToken: token => {
      needed(store.tokens.get(token), 'token', '[redacted]').revoked = true
    },
    addRunner: ({ group: groupReference, project: projectReference, instance, ...attributes }) => {
      const owners = [groupReference, projectReference, instance ? true : undefined].filter(
        owner => owner !== undefined,
      )
      if (owners.length !== 1) throw new Error('a runner belongs to exactly one of group, project and instance')
      const owner =
        groupReference !== undefined
          ? { type: 'group_type' as const, groupId: group(groupReference).id }
          : projectReference !== undefined
            ? { type: 'project_type' as const, projectIds: [project(projectReference).id] }
            : { type: 'instance_type' as const }
      return context.runners.create({ ...attributes, ...owner, origin: 'user' }, 'admin')
    },
    addJob: ({ project: reference, ...wanted }) => context.jobs.add({ ...wanted, project: project(reference) }),
    cancelJob: id => context.jobs.finish(job(id), 'canceled'),
    idToken: (jobId, audience, changes) => idTokenOf(context, job(jobId), audience, changes),
    rotateSigningKey: () => context.signingKey.rotate(),
    packageFiles: reference => store.packageFiles.filter(({ projectId }) => projectId === project(reference).id),
    allowDuplicatePackages: allowed => {
      context.settings.duplicatePackages = allowed
    },
    runner,
    runners: () => store.runnersWhere(() => true),
    job,
    jobs: () => [...store.jobs.values()],
    editRunner: (id, changes) => context.runners.update(runner(id), changes, 'admin'),
    removeRunner: id => context.runners.remove(runner(id), 'admin'),
    protect: ({ project: reference, branch, pushTokens, pushRole, allowForce }) => {
      const rules = project(reference).protectedBranches
      const old = rules.findIndex(({ pattern }) => pattern === branch)
      if (old !== -1) rules.splice(old, 1)
      rules.push({
        pattern: branch,
        pushRole: pushRole ?? 'maintainer',
        allowForce: allowForce ?? false,
        ...(pushTokens && {
          pushTokenIds: pushTokens.map(token => needed(store.tokens.get(token), 'token', '[redacted]').id),
        }),
      })
    },
    unprotect: (reference, branch) => {
      const rules = project(reference).protectedBranches
      const at = rules.findIndex(({ pattern }) => pattern === branch)
      if (at !== -1) rules.splice(at, 1)
    },
    readFile: (reference, branch, path) =>
      project(reference).repository.branch(branch)?.files.get(path)?.content.toString(),
    commitCount: (reference, branch) => {
      const { repository } = project(reference)
      const head = repository.branch(branch)
      return head ? [...repository.history(head)].length : 0
    },
    branches: reference => project(reference).repository.branchNames(),
    allowRegistration: allowed => {
      context.settings.allowRegistration = allowed
    },
    graphql: enabled => {
      context.settings.graphql = enabled
    },
    throttle: limit => {
      context.limits.throttle = limit
    },
    setClockSkew: ms => {
      time.skewMs = ms
    },
    nowMs: () => time.nowMs() + time.skewMs,
    runHousekeeping: () => {
      context.jobs.dropStuck()
      context.runners.removeStaleManagers()
    },
    requests: observation.requests,
    tagHistory: observation.tagHistory,
    pushes: observation.pushes,
    count: query => observation.count(query),
    onTagChange: listener => observation.onTagChange(listener),
    onJobChange: listener => observation.onJobChange(listener),
  }
}

function needed<T>(record: T | undefined, kind: string, reference: Reference): T {
  if (record === undefined) throw new Error(`no ${kind} ${reference} in this simulated GitLab: add it first`)
  return record
}
