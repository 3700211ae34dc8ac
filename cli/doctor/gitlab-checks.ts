import { statusBranch } from '../../decider/act/publisher.ts'
import type { DeciderConfig } from '../../decider/config.ts'
import type { PoolConfig } from '../../decider/model.ts'
import { GitLabError, type PoolRunner } from '../../lib/gitlab/types.ts'
import { poolNames, SILENT_AFTER_MS, wordsOf } from '../steering/overview.ts'
import { failed, ok, Skip, skipped, type Check, type Verdict } from './check.ts'
import type { DoctorContext } from './context.ts'
import type { GitLabFacts } from './gitlab-facts.ts'
import {
  judgeClusterTags,
  judgeExpiry,
  judgeGroupRole,
  judgeMainTag,
  judgeOneCluster,
  judgePrivacy,
  judgeProjectWrite,
  judgeProtection,
  judgeScopes,
} from './judge-gitlab.ts'

type GitLabCheck = Check<DoctorContext>

export const gitlabChecks: readonly GitLabCheck[] = [
  {
    id: 'gitlab-reachable',
    title: 'GitLab answers and knows the tokens',
    needs: 'nothing',
    run: async context => {
      const { gitlab, config } = parts(context)
      try {
        await gitlab.tokens()
        return ok(config.gitlab.url)
      } catch (error) {
        if (!(error instanceof GitLabError)) throw error
        return unreachable(error, config.gitlab.url)
      }
    },
  },
  {
    id: 'token-scopes',
    title: 'The tokens have the scopes they need',
    needs: 'a personal, project or group access token',
    run: async context => judgeScopes(await parts(context).gitlab.tokens()),
  },
  {
    id: 'token-expiry',
    title: 'No token expires within 14 days',
    needs: 'a personal, project or group access token',
    run: async context => {
      const { gitlab } = parts(context)
      return judgeExpiry(await gitlab.tokens(), gitlab.nowMs() ?? context.nowMs())
    },
  },
  {
    id: 'group-role',
    title: 'The token may change the group’s runners',
    needs: 'the scope read_api',
    run: async context => {
      const { gitlab, config } = parts(context)
      const { group } = config.gitlab
      if (group === undefined) return skipped('the runners belong to no group, so that listing them shows as much')
      return judgeGroupRole(await gitlab.groupRole(group), group)
    },
  },
  {
    id: 'runners-listed',
    title: 'The group’s runners can be listed',
    needs: 'read_api and the role Maintainer in the group',
    run: async context => {
      const { gitlab, config } = parts(context)
      try {
        const lists = await Promise.all(context.pools.map(pool => gitlab.runners(pool)))
        return ok(`${new Set(lists.flat().map(({ id }) => id)).size} runners with a tag of the pools`)
      } catch (error) {
        if (!(error instanceof GitLabError) || !['forbidden', 'not_found'].includes(error.kind)) throw error
        return failed(
          `the runners of group ${config.gitlab.group} cannot be listed: ${error.message}`,
          'Correct gitlab.group, and give the token read_api and a role in that group.',
        )
      }
    },
  },
  {
    id: 'project-write',
    title: 'The token may publish this cluster’s status',
    needs: 'a role in the HADR project',
    run: async context => {
      const { gitlab, config } = parts(context)
      const project = await gitlab.project().catch((error: unknown) => invisible(error, config))
      if ('status' in project) return project
      const branches = await gitlab.branches()
      const own = branches.find(({ name }) => name === statusBranch(config.cluster))
      return judgeProjectWrite(project.role, own, config.cluster)
    },
  },
  {
    id: 'project-private',
    title: 'The HADR project is private and has a default branch',
    needs: 'a role in the HADR project',
    run: async context => {
      const project = await parts(context).gitlab.project()
      if (project.defaultBranch === null) {
        return failed(
          `${project.path} shows no default branch`,
          'Create it with a README, and make the token’s user at least a Reporter.',
        )
      }
      return judgePrivacy(project)
    },
  },
  {
    id: 'branches-protected',
    title: 'The HADR project’s branches are protected as they should be',
    needs: 'the role Maintainer in the HADR project: run it with such a token to have this checked',
    run: async context => {
      const { gitlab } = parts(context)
      const [rules, { defaultBranch }] = await Promise.all([gitlab.rules(), gitlab.project()])
      const clusters = context.pools.flatMap(pool => pool.clusters.map(({ name }) => name))
      return judgeProtection(rules, [...new Set(clusters)], defaultBranch ?? 'main')
    },
  },
  {
    id: 'deciders-agree',
    title: 'Every cluster’s decider is heard of, and all have the same configuration',
    needs: 'read_api and the role Reporter in the HADR project',
    run: async context => {
      const { gitlab } = parts(context)
      const scene = await gitlab.scene()
      const silent: string[] = []
      const different: string[] = []
      for (const pool of context.pools) {
        const words = wordsOf(scene, pool.name)
        for (const { name } of pool.clusters) {
          const word = words.find(({ cluster }) => cluster === name)
          if (!word?.status || word.ageMs > SILENT_AFTER_MS) silent.push(`${name} (pool ${pool.name})`)
          else if (word.status.digest !== pool.digest) different.push(`${name} (pool ${pool.name})`)
        }
      }
      if (different.length > 0) {
        return failed(
          `this configuration differs from that of ${different.join(', ')}, so nothing would move`,
          'Give all deciders the same main tag, clusters, cluster tags and strength mode.',
        )
      }
      if (silent.length > 0) {
        return failed(
          `no fresh status from ${silent.join(', ')}; published pools: ${poolNames(scene).join(', ') || 'none'}`,
          'Start the decider there and look at its log; pool names must be the same everywhere.',
        )
      }
      return ok('all clusters are heard of')
    },
  },
  runnerCheck('cluster-tags', 'Each cluster tag is on at least one runner', judgeClusterTags),
  runnerCheck('one-cluster', 'No runner has two cluster tags', judgeOneCluster),
  runnerCheck('main-tag', 'The main tag is unique to the pool', judgeMainTag),
]

function runnerCheck(
  id: string,
  title: string,
  judge: (pool: PoolConfig, runners: readonly PoolRunner[]) => Verdict,
): GitLabCheck {
  return {
    id,
    title,
    needs: 'read_api and the role Maintainer in the group',
    run: async context => {
      const { gitlab } = parts(context)
      const verdicts = await Promise.all(context.pools.map(async pool => judge(pool, await gitlab.runners(pool))))
      const bad = verdicts.find(({ status }) => status === 'failed')
      return bad ?? ok(verdicts.map(({ detail }) => detail).join('; '))
    },
  }
}

function parts({ gitlab, config }: DoctorContext): { gitlab: GitLabFacts; config: DeciderConfig } {
  if (!gitlab || !config) throw new Skip('needs --config, the decider’s configuration file, and a token')
  return { gitlab, config }
}

function invisible(error: unknown, { gitlab }: DeciderConfig): Verdict {
  if (!(error instanceof GitLabError) || error.kind !== 'not_found') throw error
  return failed(
    `project ${gitlab.project} does not exist or the token may not see it`,
    'Correct gitlab.project, or make the token’s user a member of the HADR project.',
  )
}

/** What the first answer, or its absence, says of the way to GitLab. */
function unreachable(error: GitLabError, url: string): Verdict {
  switch (error.kind) {
    case 'unauthorized':
      return failed(
        `GitLab refuses the token: ${error.message}`,
        'Create a new token and put it into the token’s file.',
      )
    case 'rate_limited':
      return skipped(`not checked: ${error.message}`)
    case 'not_found':
    case 'invalid_answer':
      return failed(
        `what answers at ${url} is not GitLab’s API: ${error.message}`,
        'Give gitlab.url as the address of GitLab itself, without a path of a group, and past any sign-in proxy.',
      )
    default: {
      const tls = /certificate|TLS|SSL|self.signed/i.test(error.message)
      return failed(
        `GitLab does not answer: ${error.message}`,
        tls
          ? 'Give the authority of GitLab’s certificate as gitlab.caFile.'
          : 'Look at name resolution, network policies and firewalls between here and GitLab.',
      )
    }
  }
}
