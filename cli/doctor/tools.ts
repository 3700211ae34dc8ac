import type { DeciderConfig } from '../../decider/config.ts'
import { poolsOf } from '../../decider/config.ts'
import { capacityQuery } from '../../decider/observe/capacity.ts'
import { createGitLabClient } from '../../lib/gitlab/client.ts'
import { createGitLabDesk } from '../../lib/gitlab/desk.ts'
import type { HttpTransport } from '../../lib/http/transport.ts'
import type { Connection } from '../../lib/kubernetes/connection.ts'
import { createPrometheusClient } from '../../lib/prometheus/client.ts'
import { silentLog } from '../../lib/service/log.ts'
import { createTokenSource, type TokenSource } from '../../lib/service/token-source.ts'
import type { WebhookConfig } from '../../webhook/config.ts'
import type { Terminal } from '../steering/terminal.ts'
import { VERSION } from '../version.ts'
import type { DoctorContext, ShakeHands } from './context.ts'
import { createGitLabFacts, once, type GitLabFacts } from './gitlab-facts.ts'
import { createKubernetesFacts } from './kubernetes-facts.ts'

/** What the doctor needs of the world besides a terminal. */
export interface DoctorWorld extends Terminal {
  /** Of each check; a GitLab under load may take its time. */
  checkDeadlineMs: number
  readFile: (path: string) => Promise<string>
  /** A connection, or why there is none. */
  openKubernetes: () => Promise<Connection | string>
  insideCluster: boolean
  shakeHands: ShakeHands
}

/** Builds what the checks look through; nothing is asked yet. `close` ends the connections. */
export async function createContext(
  world: DoctorWorld,
  given: { config: DeciderConfig | undefined; webhook: WebhookConfig | undefined; runnerNamespace: string },
): Promise<DoctorContext & { close: () => Promise<void> }> {
  const { config, webhook, runnerNamespace } = given
  const connection = await world.openKubernetes()
  const kubernetes =
    typeof connection === 'string' ? undefined : createKubernetesFacts(connection, world.clock, runnerNamespace)
  return {
    config,
    pools: config ? poolsOf(config) : [],
    webhook,
    gitlab: config && (await gitlabFacts(config, world)),
    capacity: config && (await capacity(config, world)),
    kubernetes,
    kubernetesProblem: typeof connection === 'string' ? connection : '',
    runnerNamespace,
    insideCluster: world.insideCluster,
    shakeHands: world.shakeHands,
    nowMs: () => world.clock.wallMs(),
    close: async () => {
      if (typeof connection !== 'string') await connection.close()
    },
  }
}

async function gitlabFacts(config: DeciderConfig, world: DoctorWorld): Promise<GitLabFacts> {
  const { url, tokenFile, projectTokenFile, caFile } = config.gitlab
  const transport = await world.openTransport(caFile)
  const value = world.env['HADR_GITLAB_TOKEN']
  const source = (file: string | undefined): TokenSource =>
    createTokenSource({
      ...(file === undefined ? {} : { file }),
      ...(value === undefined || file !== undefined ? {} : { value }),
      log: silentLog,
    })
  const options = (tokens: TokenSource) => ({
    url,
    transport,
    token: () => tokens.token(),
    clock: world.clock,
    random: world.random,
    userAgent: `gitlab-runner-hadr-doctor/${VERSION}`,
  })
  const first = options(source(tokenFile))
  const desk = createGitLabDesk(first)
  const projectDesk = projectTokenFile === undefined ? desk : createGitLabDesk(options(source(projectTokenFile)))
  return createGitLabFacts({ config, desk, client: createGitLabClient(first), projectDesk })
}

async function capacity({ prometheus }: DeciderConfig, world: DoctorWorld): Promise<DoctorContext['capacity']> {
  const { url, job, tokenFile, caFile } = prometheus
  const plain = await world.openTransport(caFile)
  const tokens = tokenFile === undefined ? undefined : createTokenSource({ file: tokenFile, log: silentLog })
  const transport: HttpTransport = async request => {
    const token = await tokens?.token()
    const headers = token === undefined ? request.headers : { ...request.headers, authorization: `Bearer ${token}` }
    return plain({ ...request, headers })
  }
  const client = createPrometheusClient({ url, transport, clock: world.clock })
  return once(() => client.instant(capacityQuery(job)))
}
