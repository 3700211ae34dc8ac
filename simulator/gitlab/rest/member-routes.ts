import type { Access } from '../access.ts'
import { json, refusals, type Answer } from '../answers.ts'
import type { Context } from '../context.ts'
import { ROLES, type AccessToken, type ProtectedBranch } from '../model.ts'
import { page } from './pages.ts'
import { pathId, pathText, signedIn, type Call, type Route } from './route.ts'

const ROLE_NAMES: Readonly<Record<number, string>> = {
  [ROLES.developer]: 'Developers + Maintainers',
  [ROLES.maintainer]: 'Maintainers',
}

/** Who asks, who is a member with which role, and who may push where. Every token is a user of its own. */
export const memberRoutes: readonly Route[] = [
  { method: 'GET', pattern: '/user', run: (context, call) => json(200, userItem(context, signedIn(call).token)) },
  {
    method: 'GET',
    pattern: '/groups/:id/members/all/:user_id',
    run: (context, call) => {
      const group = call.access.group(pathText(call, 'id'))
      return memberAnswer(context, call, access => access.groupLevel(group.id))
    },
  },
  {
    method: 'GET',
    pattern: '/projects/:id/members/all/:user_id',
    run: (context, call) => {
      const project = call.access.project(pathText(call, 'id'))
      return memberAnswer(context, call, access => access.projectLevel(project))
    },
  },
  {
    method: 'GET',
    pattern: '/projects/:id/protected_branches',
    run: (context, call) => {
      const project = call.access.project(pathText(call, 'id'))
      if (!call.access.hasProjectRole(project, 'maintainer')) throw refusals.forbidden()
      const { items, headers } = page(context, call, project.protectedBranches)
      return json(200, items.map(ruleItem), headers)
    },
  },
]

/** The highest role, inherited ones included. An administrator has every right and yet is no member. */
function memberAnswer(context: Context, call: Call, levelOf: (access: Access) => number): Answer {
  const id = pathId(call, 'user_id')
  const token = [...context.store.tokens.values()].find(candidate => candidate.id === id)
  const level = token && !token.admin ? levelOf(call.access.as(token)) : 0
  if (!token || level === 0) throw refusals.notFound()
  return json(200, { ...userItem(context, token), access_level: level, expires_at: null })
}

function userItem({ externalUrl }: Context, { id, name }: AccessToken): Record<string, unknown> {
  return { id, username: name, name, state: 'active', locked: false, web_url: `${externalUrl}/${name}` }
}

function ruleItem({ pattern, pushTokenIds, pushRole, allowForce }: ProtectedBranch, index: number) {
  const everybody = { access_level: ROLES[pushRole], access_level_description: ROLE_NAMES[ROLES[pushRole]] ?? 'Owners' }
  const levels = pushTokenIds
    ? pushTokenIds.map(id => ({
        access_level: 40,
        access_level_description: `user ${id}`,
        user_id: id,
        group_id: null,
      }))
    : [{ ...everybody, user_id: null, group_id: null }]
  return {
    id: index + 1,
    name: pattern,
    push_access_levels: levels.map((level, at) => ({ id: at + 1, ...level })),
    merge_access_levels: [{ id: 1, access_level: 40, access_level_description: 'Maintainers' }],
    allow_force_push: allowForce,
    code_owner_approval_required: false,
  }
}
