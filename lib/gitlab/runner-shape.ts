import { numericId } from './graphql.ts'
import type { Json } from './json.ts'
import type { GitLabManager, GitLabRunner } from './types.ts'

const STATUSES = ['ONLINE', 'OFFLINE', 'STALE', 'NEVER_CONTACTED'] as const
const REST_MANAGER_STATUSES = ['online', 'offline', 'stale', 'never_contacted'] as const

/** The fields that `runnerFromGraphql` needs. */
export const RUNNER_FIELDS = 'id description paused status contactedAt locked tagList'

/** A `CiRunner`. */
export function runnerFromGraphql(json: Json): GitLabRunner {
  const status = json.get('status').oneOf(STATUSES)
  return {
    id: numericId(json.get('id'), 'Ci::Runner'),
    description: json.get('description').nullable(description => description.string()),
    paused: json.get('paused').boolean(),
    online: status === 'NEVER_CONTACTED' ? null : status === 'ONLINE',
    tags: strings(json.get('tagList')),
    locked: json.get('locked').boolean(),
    contactedAtMs: json.get('contactedAt').nullable(time => time.timeMs()),
  }
}

export const MANAGER_FIELDS = 'systemId status contactedAt'

/** A `CiRunnerManager`. */
export function managerFromGraphql(json: Json): GitLabManager {
  return {
    systemId: json.get('systemId').string(),
    online: json.get('status').oneOf(STATUSES) === 'ONLINE',
    contactedAtMs: json.get('contactedAt').nullable(time => time.timeMs()),
  }
}

/** The answer of `GET` and `PUT /runners/:id`. */
export function runnerFromRest(json: Json): GitLabRunner {
  return {
    ...listedRunner(json),
    tags: strings(json.get('tag_list')),
    locked: json.get('locked').boolean(),
    contactedAtMs: json.get('contacted_at').nullable(time => time.timeMs()),
  }
}

/** What an element of a REST list of runners tells: neither tags nor `locked` nor a contact time. */
export function listedRunner(json: Json): Pick<GitLabRunner, 'id' | 'description' | 'paused' | 'online'> {
  return {
    id: json.get('id').integer(),
    description: json.get('description').nullable(description => description.string()),
    paused: json.get('paused').boolean(),
    online: json.get('online').nullable(online => online.boolean()),
  }
}

/** An element of `GET /runners/:id/managers`. */
export function managerFromRest(json: Json): GitLabManager {
  return {
    systemId: json.get('system_id').string(),
    online: json.get('status').oneOf(REST_MANAGER_STATUSES) === 'online',
    contactedAtMs: json.get('contacted_at').nullable(time => time.timeMs()),
  }
}

function strings(json: Json): string[] {
  return json.items().map(item => item.string())
}
