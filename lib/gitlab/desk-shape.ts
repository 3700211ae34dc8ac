import type { BranchFacts, BranchRule, RoleLevel } from './desk-types.ts'
import type { Json } from './json.ts'

/** Undefined-or-null is null. */
export function optional<T>(json: Json, read: (json: Json) => T): T | null {
  return json.isMissing ? null : json.nullable(read)
}

/** The direct role and that of the groups above; GitLab leaves them out where nobody is signed in. */
export function roleIn(permissions: Json): RoleLevel {
  if (permissions.isMissing || permissions.isNull) return 0
  const levels = ['project_access', 'group_access'].map(
    name => optional(permissions.get(name), access => access.get('access_level').integer()) ?? 0,
  )
  return Math.max(...levels)
}

export function branchFacts(json: Json): BranchFacts {
  const commit = json.get('commit')
  return {
    name: json.get('name').string(),
    commitId: commit.get('id').string(),
    committedMs: commit.get('committed_date').timeMs(),
    protected: json.get('protected').boolean(),
    canPush: json.get('can_push').boolean(),
  }
}

export function branchRule(json: Json): BranchRule {
  return {
    pattern: json.get('name').string(),
    allowForcePush: json.get('allow_force_push').boolean(),
    push: json
      .get('push_access_levels')
      .items()
      .map(level => ({
        level: optional(level.get('access_level'), value => value.integer()) ?? 0,
        everybodyOfRole: ['user_id', 'group_id', 'deploy_key_id'].every(
          name => optional(level.get(name), value => value.integer()) === null,
        ),
      })),
  }
}
