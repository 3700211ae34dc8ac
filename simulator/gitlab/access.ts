import { refusals } from './answers.ts'
import type { Context } from './context.ts'
import { ROLES, type AccessToken, type Group, type Project, type Role, type Runner, type Scope } from './model.ts'

/** Who asks. Tokens of runners and jobs are no callers in this sense: they travel as parameters. */
export interface Caller {
  readonly token: AccessToken
}

/** `PRIVATE-TOKEN`, `Authorization: Bearer`, or the query parameters of the same meaning. */
export function presentedToken(
  headers: Readonly<Record<string, string>>,
  query: URLSearchParams,
): { secret: string; bearer: boolean } | undefined {
  const bearer = /^Bearer (.+)$/i.exec(headers['authorization'] ?? '')?.[1]
  const secret = headers['private-token'] ?? query.get('private_token') ?? bearer ?? query.get('access_token')
  return secret ? { secret, bearer: secret === bearer } : undefined
}

/** Undefined when no token came; refuses one that is unknown, expired or revoked, or has none of the scopes. */
export function authenticate(
  context: Context,
  presented: { secret: string } | undefined,
  scopes: { all: readonly Scope[]; usable: readonly Scope[] },
): Caller | undefined {
  if (!presented) return undefined
  const token = context.store.tokens.get(presented.secret)
  if (!token) throw refusals.unauthorized()
  if (token.revoked) throw refusals.invalidToken('Token was revoked. You have to re-authorize from the user.')
  if (isExpired(context, token)) {
    throw refusals.invalidToken('Token is expired. You can either do re-authorization or token refresh.')
  }
  if (!scopes.usable.some(scope => token.scopes.has(scope))) throw refusals.insufficientScope(scopes.all)
  return { token }
}

export function isExpired(context: Context, token: AccessToken): boolean {
  return token.expiresAtMs !== null && token.expiresAtMs <= context.time.nowMs()
}

/** The caller's rights on groups, projects and runners, as GitLab's policies give them. All groups are private. */
export class Access {
  readonly #context: Context
  readonly #token: AccessToken | undefined

  constructor(context: Context, caller: Caller | undefined) {
    this.#context = context
    this.#token = caller?.token
  }

  /** The rights of somebody else. */
  as(token: AccessToken): Access {
    return new Access(this.#context, { token })
  }

  /** 0 without any role; memberships are inherited downwards. */
  groupLevel(groupId: number | null): number {
    if (this.#token?.admin) return ROLES.owner
    const levels = this.#context.store.lineage(groupId).map(({ id }) => roleLevel(this.#token?.groups.get(id)))
    return Math.max(0, ...levels)
  }

  projectLevel(project: Project): number {
    return Math.max(this.groupLevel(project.groupId), roleLevel(this.#token?.projects.get(project.id)))
  }

  hasGroupRole(groupId: number | null, role: Role): boolean {
    return this.groupLevel(groupId) >= ROLES[role]
  }

  hasProjectRole(project: Project, role: Role): boolean {
    return this.projectLevel(project) >= ROLES[role]
  }

  /** A membership below a group makes the group itself visible, with no rights in it. */
  seesGroup(group: Group): boolean {
    if (this.hasGroupRole(group.id, 'guest')) return true
    const { store } = this.#context
    const groups = [...(this.#token?.groups.keys() ?? [])]
    const projects = [...(this.#token?.projects.keys() ?? [])].flatMap(id => store.projects.get(id) ?? [])
    return (
      groups.some(id => store.isWithin(id, group.id)) ||
      projects.some(({ groupId }) => store.isWithin(groupId, group.id))
    )
  }

  /** Refuses with 404 both what does not exist and what the caller may not know of. */
  group(reference: string): Group {
    const group = this.#context.store.group(reference)
    if (!group || !this.seesGroup(group)) throw refusals.notFound('Group')
    return group
  }

  project(reference: string): Project {
    const project = this.#context.store.project(reference)
    if (!project || !this.hasProjectRole(project, 'guest')) throw refusals.notFound('Project')
    return project
  }

  canReadRunner(runner: Runner): boolean {
    if (!this.#token) return false
    if (this.#token.admin || runner.type === 'instance_type') return true
    if (runner.type === 'group_type') {
      return this.hasGroupRole(runner.groupId, 'maintainer') || this.#maintainsBelow(runner.groupId)
    }
    return this.#projectsOf(runner).some(project => this.hasProjectRole(project, 'maintainer'))
  }

  canUpdateRunner(runner: Runner): boolean {
    if (this.#token?.admin) return true
    switch (runner.type) {
      case 'instance_type':
        return false
      case 'group_type':
        return this.hasGroupRole(runner.groupId, 'owner')
      case 'project_type':
        return this.#projectsOf(runner).some(project => this.hasProjectRole(project, 'maintainer'))
    }
  }

  /** A group runner is inherited by what is below its group, and a Maintainer there may read it. */
  #maintainsBelow(groupId: number | null): boolean {
    const { store } = this.#context
    if (groupId === null || !this.#token) return false
    return [...store.projects.values()].some(
      project => store.isWithin(project.groupId, groupId) && this.hasProjectRole(project, 'maintainer'),
    )
  }

  #projectsOf(runner: Runner): Project[] {
    return runner.projectIds.flatMap(id => this.#context.store.projects.get(id) ?? [])
  }
}

/** 0 without a role. */
export function roleLevel(role: Role | undefined): number {
  return role === undefined ? 0 : ROLES[role]
}
