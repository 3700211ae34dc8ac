import { type DeciderConfig, runnerOwnerOf } from '../../decider/config.ts'
import { statusBranch } from '../../decider/act/publisher.ts'
import type { PoolConfig } from '../../decider/model.ts'
import type { BranchFacts, BranchRule, GitLabDesk, ProjectFacts, TokenFacts } from '../../lib/gitlab/desk-types.ts'
import type { GitLabClient, PoolRunner, RunnerOwner } from '../../lib/gitlab/types.ts'
import { readScene, type Scene } from '../steering/read.ts'

/** One token of the decider: what it is used for, and what GitLab says of it. */
export interface TokenReading {
  /** `gitlab.tokenFile` or such. */
  name: string
  runners: boolean
  project: boolean
  facts: TokenFacts
}

/** Each is read once, when the first check wants it. */
export interface GitLabFacts {
  tokens(): Promise<TokenReading[]>
  /** GitLab's clock, after the first answer. */
  nowMs(): number | undefined
  /** Role of the runner token's user in the group. */
  groupRole(group: number): Promise<number>
  project(): Promise<ProjectFacts>
  branches(): Promise<BranchFacts[]>
  rules(): Promise<BranchRule[]>
  scene(): Promise<Scene>
  /** Runners with one of the pool's tags; whether their other tags are known. */
  runners(pool: PoolConfig): Promise<readonly PoolRunner[]>
}

export interface GitLabTools {
  config: DeciderConfig
  /** By the token that reads and writes runners. */
  desk: GitLabDesk
  client: GitLabClient
  /** By the token of the HADR project; the same where there is one token. */
  projectDesk: GitLabDesk
}

export function createGitLabFacts({ config, desk, client, projectDesk }: GitLabTools): GitLabFacts {
  const { project: projectId } = config.gitlab
  const owner = runnerOwnerOf(config)
  const one = desk === projectDesk
  const project = once(() => projectDesk.project(projectId))
  const runners = new Map<string, Promise<readonly PoolRunner[]>>()

  return {
    nowMs: () => desk.serverNowMs() ?? projectDesk.serverNowMs(),
    tokens: once(async () => {
      const [first, second] = await Promise.all([desk.token(), one ? undefined : projectDesk.token()])
      return [
        { name: 'gitlab.tokenFile', runners: true, project: one, facts: first },
        ...(second ? [{ name: 'gitlab.projectTokenFile', runners: false, project: true, facts: second }] : []),
      ]
    }),
    groupRole: async group => desk.groupRole(group, (await desk.token()).userId),
    project,
    branches: once(() => projectDesk.branches(projectId, statusBranch(''))),
    rules: once(() => projectDesk.branchRules(projectId)),
    scene: once(() => readScene({ desk: projectDesk, project: projectId, details: false })),
    runners: pool => {
      const known = runners.get(pool.name)
      if (known) return known
      const reading = readRunners(client, owner, projectId, pool)
      runners.set(pool.name, reading)
      return reading
    },
  }
}

/** Where lists do not tell all tags, each runner is read, so that two cluster tags on one cannot hide. */
async function readRunners(client: GitLabClient, owner: RunnerOwner, project: number, pool: PoolConfig) {
  const tags = [...pool.clusters.map(({ tag }) => tag), pool.mainTag]
  const { runners } = await client.readPool({ ...owner, project, tags, files: [] })
  return runners
}

/** The same promise for every caller. */
export function once<T>(read: () => Promise<T>): () => Promise<T> {
  let reading: Promise<T> | undefined
  return () => (reading ??= read())
}
