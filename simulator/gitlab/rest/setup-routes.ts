import { json, refusals } from '../answers.ts'
import { isoTime, type Context } from '../context.ts'
import { ROLES, SCOPES, type Group, type Project, type Role } from '../model.ts'
import { createState } from '../state.ts'
import { ruleItem } from './member-routes.ts'
import { projectItem } from './namespace-routes.ts'
import { pathText, type Call, type Route } from './route.ts'

/**
 * What people do once before the programs start: a project, its protected branches, and access tokens, each of which is a
 * user of its own. By `lib/api/projects.rb`, `lib/api/protected_branches.rb` and `lib/api/resource_access_tokens.rb`.
 */
export const setupRoutes: readonly Route[] = [
  {
    method: 'POST',
    pattern: '/projects',
    run: (context, call) => {
      const { input, access } = call
      const path = input.string('path') ?? input.string('name')
      if (path === undefined)
        throw refusals.parameter('name, path are missing, at least one parameter must be provided')
      input.require(['namespace_id'])
      const group = access.group(input.string('namespace_id') ?? '')
      if (!access.hasGroupRole(group.id, 'maintainer')) throw refusals.forbidden()
      const fullPath = `${group.fullPath}/${path}`
      if (context.store.project(fullPath)) throw refusals.message(400, { path: ['has already been taken'] })
      const visibility = input.oneOf('visibility', ['private', 'internal', 'public']) ?? 'private'
      const project = createState(context).addProject({ fullPath, group: group.id, visibility })
      return json(201, projectItem(context, project, call))
    },
  },
  {
    method: 'POST',
    pattern: '/projects/:id/protected_branches',
    run: (_context, call) => {
      const project = call.access.project(pathText(call, 'id'))
      if (!call.access.hasProjectRole(project, 'maintainer')) throw refusals.forbidden()
      call.input.require(['name'])
      const pattern = call.input.string('name') ?? ''
      const rules = project.protectedBranches
      if (rules.some(rule => rule.pattern === pattern)) {
        throw refusals.message(409, `Protected branch '${pattern}' already exists`)
      }
      const pushRole = roleOf(call, 'push_access_level') ?? 'maintainer'
      const rule = { pattern, pushRole, allowForce: call.input.boolean('allow_force_push') ?? false }
      rules.push(rule)
      return json(201, ruleItem(rule, rules.length - 1))
    },
  },
  {
    method: 'POST',
    pattern: '/projects/:id/access_tokens',
    run: (context, call) => {
      const project = call.access.project(pathText(call, 'id'))
      return createToken(context, call, { project, level: call.access.projectLevel(project), least: 'maintainer' })
    },
  },
  {
    method: 'POST',
    pattern: '/groups/:id/access_tokens',
    run: (context, call) => {
      const group = call.access.group(pathText(call, 'id'))
      return createToken(context, call, { group, level: call.access.groupLevel(group.id), least: 'owner' })
    },
  },
]

/** Nobody gives a token more than a role of their own. */
function createToken(
  context: Context,
  call: Call,
  { group, project, level, least }: { group?: Group; project?: Project; level: number; least: Role },
) {
  const { input } = call
  if (level < ROLES[least]) throw refusals.forbidden()
  input.require(['name', 'scopes', 'expires_at'])
  const names = input.list('scopes') ?? []
  const scopes = SCOPES.filter(scope => names.includes(scope))
  if (scopes.length === 0 || scopes.length < names.length) {
    throw refusals.parameter('scopes does not have a valid value')
  }
  const role = roleOf(call, 'access_level') ?? 'maintainer'
  if (ROLES[role] > level)
    throw refusals.message(
      400,
      `Access level of the token can't be greater than the access level of the user who created the token`,
    )
  const expiresAtMs = Date.parse(`${input.string('expires_at') ?? ''}T00:00:00Z`)
  if (Number.isNaN(expiresAtMs)) throw refusals.parameter('expires_at is invalid')
  const secret = `glpat-${Array.from({ length: 20 }, () => Math.floor(context.random() * 36).toString(36)).join('')}`
  const token = createState(context).addToken({
    token: secret,
    name: input.string('name') ?? '',
    scopes,
    expiresAtMs,
    ...(group && { groups: { [group.id]: role } }),
    ...(project && { projects: { [project.id]: role } }),
  })
  return json(201, {
    id: token.id,
    name: token.name,
    user_id: token.id,
    scopes,
    access_level: ROLES[role],
    active: true,
    revoked: false,
    expires_at: isoTime(context.time, token.expiresAtMs)?.slice(0, 10) ?? null,
    token: secret,
  })
}

function roleOf(call: Call, name: string): Role | undefined {
  const level = call.input.integer(name)
  if (level === undefined) return undefined
  const role = (Object.keys(ROLES) as Role[]).find(each => ROLES[each] === level)
  if (role === undefined) throw refusals.parameter(`${name} does not have a valid value`)
  return role
}
