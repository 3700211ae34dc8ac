import { statusBranch } from '../../decider/act/publisher.ts'
import type { PoolConfig } from '../../decider/model.ts'
import type { BranchFacts, BranchRule } from '../../lib/gitlab/desk-types.ts'
import type { PoolRunner } from '../../lib/gitlab/types.ts'
import type { TokenReading } from './gitlab-facts.ts'
import { failed, ok, type Verdict } from './check.ts'

const DAY_MS = 86_400_000
const SOON_DAYS = 14
const DEVELOPER = 30
const MAINTAINER = 40
const OWNER = 50

/** Scopes: `read_api` lists runners and reads files, `manage_runner` writes tags, only `api` writes to a project. */
export function judgeScopes(tokens: readonly TokenReading[]): Verdict {
  const missing = tokens.flatMap(({ name, runners, project, facts }) => {
    const has = (scope: string) => facts.scopes.includes('api') || facts.scopes.includes(scope)
    const wanted = [
      ...(has('read_api') ? [] : ['read_api']),
      ...(runners && !has('manage_runner') ? ['manage_runner'] : []),
      ...(project && !has('api') ? ['api'] : []),
    ]
    return wanted.map(scope => `${name} lacks the scope ${scope}`)
  })
  if (missing.length === 0) return ok(tokens.map(({ name, facts }) => `${name}: ${facts.scopes.join(', ')}`).join('; '))
  return failed(
    missing.join('; '),
    'Scopes of a token cannot be changed: create a new one with read_api and manage_runner for the group, and with api for the HADR project.',
  )
}

/** A token ends at the beginning of its last day, in UTC. */
export function judgeExpiry(tokens: readonly TokenReading[], nowMs: number): Verdict {
  const ends = tokens.flatMap(({ name, facts }) =>
    facts.expiresOn === null
      ? []
      : [{ name, on: facts.expiresOn, days: Math.floor((Date.parse(facts.expiresOn) - nowMs) / DAY_MS) }],
  )
  const soon = ends.filter(({ days }) => days < SOON_DAYS)
  if (soon.length === 0) {
    return ok(ends.length === 0 ? 'no token expires' : ends.map(({ name, on }) => `${name} on ${on}`).join('; '))
  }
  return failed(
    soon.map(({ name, on, days }) => `${name} expires on ${on}, in ${Math.max(0, days)} days`).join('; '),
    'Rotate it in GitLab and replace the Secret; the decider reads the file again by itself.',
  )
}

export function judgeGroupRole(level: number, group: number): Verdict {
  if (level >= OWNER) return ok(`Owner of group ${group}`)
  const is =
    level >= MAINTAINER
      ? 'Maintainer: it reads the runners but may not change their tags'
      : level > 0
        ? 'below Maintainer'
        : 'no member'
  return failed(
    `in group ${group} the token is ${is}`,
    `Give it the role Owner in group ${group}: GitLab lets only Owners change a group's runners.`,
  )
}

export function judgeProjectWrite(role: number, own: BranchFacts | undefined, cluster: string): Verdict {
  const branch = statusBranch(cluster)
  if (role < DEVELOPER) {
    return failed(
      `the token's role in the HADR project is below Developer, so it cannot publish to ${branch}`,
      'Make its user a Developer of the HADR project, or a Maintainer.',
    )
  }
  if (own && !own.canPush) {
    return failed(
      `the token may not push to ${branch}, which is protected for others`,
      `Allow it to push to ${branch} (Settings, Repository, Protected branches), with force push.`,
    )
  }
  return ok(own ? `may push to ${branch}` : `role is enough; ${branch} does not exist yet, the decider makes it`)
}

export function judgePrivacy({ path, visibility }: { path: string; visibility: string }): Verdict {
  if (visibility === 'private') return ok(`${path} is private`)
  return failed(
    `${path} is ${visibility}, so that more people than the members read who serves and why`,
    'Set its visibility to Private (Settings, General, Visibility).',
  )
}

/** The status branches take force pushes of one bot each; the default branch is for Maintainers. */
export function judgeProtection(
  rules: readonly BranchRule[],
  clusters: readonly string[],
  defaultBranch: string,
): Verdict {
  const problems: string[] = []
  for (const branch of clusters.map(statusBranch)) {
    const matching = rules.filter(rule => matches(rule.pattern, branch))
    if (matching.length === 0) problems.push(`${branch} is not protected, so every Developer may rewrite it`)
    else if (!matching.some(rule => rule.allowForcePush))
      problems.push(`${branch} refuses force pushes, so no heartbeat arrives`)
    else if (matching.some(opensToDevelopers)) problems.push(`every Developer may push to ${branch}`)
  }
  const main = rules.filter(rule => matches(rule.pattern, defaultBranch))
  if (main.length === 0) problems.push(`${defaultBranch} is not protected, so every Developer may steer`)
  else if (main.some(opensToDevelopers)) problems.push(`every Developer may push to ${defaultBranch}, and so steer`)
  if (problems.length === 0) return ok(`${defaultBranch} and the status branches are protected as they should be`)
  return failed(
    problems.join('; '),
    `Protect each hadr/<cluster> with force push allowed for its bot alone (hadr/* for Maintainers on the free tier), and ${defaultBranch} for Maintainers.`,
  )
}

function opensToDevelopers({ push }: BranchRule): boolean {
  return push.some(({ level, everybodyOfRole }) => everybodyOfRole && level > 0 && level <= DEVELOPER)
}

function matches(pattern: string, branch: string): boolean {
  const parts = pattern.split('*').map(part => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`).test(branch)
}

export function judgeClusterTags(pool: PoolConfig, runners: readonly PoolRunner[]): Verdict {
  const missing = pool.clusters.filter(({ tag }) => !runners.some(({ tags }) => tags.includes(tag)))
  if (missing.length === 0) {
    const counts = pool.clusters.map(({ tag }) => `${tag}: ${runners.filter(({ tags }) => tags.includes(tag)).length}`)
    return ok(`runners by tag: ${counts.join(', ')}`)
  }
  return failed(
    `no runner carries ${missing.map(({ name, tag }) => `${tag} (cluster ${name})`).join(' nor ')}`,
    'Give that cluster’s runners their cluster tag, or correct the tag in the configuration; only the runners of the group itself count.',
  )
}

export function judgeOneCluster(pool: PoolConfig, runners: readonly PoolRunner[]): Verdict {
  const clusterTags = pool.clusters.map(({ tag }) => tag)
  const torn = runners.filter(({ tags }) => clusterTags.filter(tag => tags.includes(tag)).length > 1)
  if (torn.length === 0) return ok('no runner belongs to two clusters')
  return failed(
    `${torn.map(({ id }) => `runner ${id}`).join(', ')} carries several cluster tags and is counted for no cluster`,
    'Leave each runner the tag of the cluster it runs in, and take the other away.',
  )
}

export function judgeMainTag(pool: PoolConfig, runners: readonly PoolRunner[]): Verdict {
  const clusterTags = pool.clusters.map(({ tag }) => tag)
  const foreign = runners.filter(
    ({ tags }) => tags.includes(pool.mainTag) && !clusterTags.some(tag => tags.includes(tag)),
  )
  if (foreign.length === 0) return ok(`only runners of the pool's clusters carry ${pool.mainTag}`)
  return failed(
    `${foreign.map(({ id, description }) => `runner ${id} (${description ?? 'no description'})`).join(', ')} carries ${pool.mainTag} but no cluster tag, so it takes jobs whichever cluster serves`,
    `Take ${pool.mainTag} from it, or give it its cluster's tag.`,
  )
}
