import type { Registry } from 'prom-client'
import type { DeciderConfig } from '../../decider/config.ts'
import { createJobs, type Jobs } from '../../decider/jobs/jobs.ts'
import { parseGitLabUrl } from '../../lib/gitlab/endpoints.ts'
import { createSigningKeys } from '../../lib/gitlab/signing-keys.ts'
import type { GitLabClient } from '../../lib/gitlab/types.ts'
import type { HttpTransport } from '../../lib/http/transport.ts'
import { loadKubeConfig, openConnection } from '../../lib/kubernetes/connection.ts'
import { createPrometheusClient } from '../../lib/prometheus/client.ts'
import type { Clock, Random } from '../../lib/service/clock.ts'
import type { Log } from '../../lib/service/log.ts'

export interface JobsSetting {
  config: DeciderConfig
  /** Undefined: the pod's own cluster. */
  kubeconfig: string | undefined
  env: NodeJS.ProcessEnv
  userAgent: string
  /** Of its own, so that many range queries hold up no cycle. */
  prometheusTransport: HttpTransport
  /** Sends no token of ours. */
  gitlabTransport: HttpTransport
  /** Of its own, with the rights of the HADR project's. Asked for only when packages are wanted. */
  packageClient: () => GitLabClient
  /** Whether this process stores packages: of several replicas one does, and in a dry run none. */
  publishes: () => boolean
  registry: Registry
  clock: Clock
  random: Random
  log: Log
}

/** A range query over a long job is slow; nobody waits for it. */
const QUERY_DEADLINE_MS = 15_000

/** Builds the part that keeps the metrics of jobs, and starts it. Rejects with what is wrong with the cluster's configuration. */
export async function startJobs(jobs: NonNullable<DeciderConfig['jobs']>, setting: JobsSetting): Promise<Jobs> {
  const { config, kubeconfig, env, userAgent, clock, random, log, registry, publishes } = setting
  const connection = await openConnection({ kubeConfig: loadKubeConfig(kubeconfig, env), clock, userAgent })
  const built = createJobs({
    cluster: config.cluster,
    config: jobs,
    issuer: parseGitLabUrl(config.gitlab.url).root,
    connection,
    prometheus: createPrometheusClient({
      url: config.prometheus.url,
      transport: setting.prometheusTransport,
      clock,
      deadlineMs: QUERY_DEADLINE_MS,
    }),
    keys: createSigningKeys({ url: config.gitlab.url, transport: setting.gitlabTransport, clock, userAgent }),
    ...(jobs.package && { packages: { gitlab: setting.packageClient(), project: config.gitlab.project } }),
    publishes,
    registry,
    clock,
    random,
    log,
  })
  await built.start()
  return {
    ...built,
    async stop() {
      await built.stop()
      await connection.close()
    },
  }
}
