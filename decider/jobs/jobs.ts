import type { Registry } from 'prom-client'
import type { Connection } from '../../lib/kubernetes/connection.ts'
import type { SigningKeys } from '../../lib/gitlab/signing-keys.ts'
import type { GitLabClient } from '../../lib/gitlab/types.ts'
import type { PrometheusClient } from '../../lib/prometheus/client.ts'
import type { Clock, Random } from '../../lib/service/clock.ts'
import type { Log } from '../../lib/service/log.ts'
import type { OpsRoute } from '../../lib/service/ops-server.ts'
import type { WatchTiming } from '../../lib/kubernetes/watch.ts'
import { type JobsConfig, queriesOf } from './config.ts'
import { createJobDesk, type QueryTrouble } from './desk.ts'
import { createJobVerifier } from './identity.ts'
import { createJobsMetrics } from './metrics.ts'
import { createPackagePublisher } from './package.ts'
import { jobRoutes } from './routes.ts'
import { createJobStore } from './store.ts'
import { type JobWatch, startJobWatch } from './watch.ts'

export interface JobsDeps {
  cluster: string
  config: JobsConfig
  /** The `iss` of GitLab's id_tokens unless the configuration has another. */
  issuer: string
  /** A connection of its own: watches hold connections, and the lease needs one. */
  connection: Connection
  /** A client of its own, so that a slow range query keeps no cycle waiting. */
  prometheus: PrometheusClient
  keys: SigningKeys
  /** Where packages go; missing: nowhere. A client of its own, for the same reason. */
  packages?: { gitlab: Pick<GitLabClient, 'putPackageFile'>; project: number }
  /** Whether this process stores packages: of several replicas one does. */
  publishes: () => boolean
  registry: Registry
  clock: Clock
  random: Random
  log: Log
  watchTiming?: WatchTiming
}

export interface JobsStatus {
  running: number
  waiting: number
  stored: number
  storedBytes: number
  namespaces: readonly { name: string; silentSeconds: number | null }[]
  failingQueries: readonly QueryTrouble[]
}

export interface Jobs {
  /** Reads what is kept, then watches. Rejects for nothing that the disk or the network do. */
  start(): Promise<void>
  stop(): Promise<void>
  routes: Readonly<Record<string, OpsRoute>>
  status(): JobsStatus
}

const LEVELS_EVERY_MS = 5_000
const TIDY_EVERY_MS = 3_600_000
const DAY_MS = 86_400_000

/**
 * Every replica of a decider does this for its cluster, whoever leads: a request reaches any of them through one Service,
 * and a job that ends while the lease changes hands must not be lost. It costs a few range queries per job and replica.
 */
export function createJobs(deps: JobsDeps): Jobs {
  const { cluster, config, clock, random, log } = deps
  const queries = queriesOf(config)
  const names = queries.map(({ name }) => name)
  const metrics = createJobsMetrics(deps.registry, names)
  const store = createJobStore({
    folder: config.folder,
    maxAgeMs: config.keepDays * DAY_MS,
    maxBytes: config.keepMiB * 1024 * 1024,
    clock,
    log,
    onError: operation => metrics.diskError(operation),
  })
  const desk = createJobDesk({
    cluster,
    prometheus: deps.prometheus,
    queries,
    scrapeMs: config.scrapeSeconds * 1000,
    store,
    metrics,
    ...(deps.packages && { publish: createPackagePublisher(deps.packages) }),
    publishes: deps.publishes,
    clock,
    random,
    log,
  })
  let watch: JobWatch | undefined
  let cancelLevels: () => void = () => undefined
  let cancelTidy: () => void = () => undefined

  function level(): void {
    metrics.level({
      queue: desk.queueLength,
      running: watch?.runningPods ?? 0,
      jobs: store.jobs,
      bytes: store.bytes,
    })
    cancelLevels = clock.after(LEVELS_EVERY_MS, level)
  }

  function tidyLater(): void {
    cancelTidy = clock.after(TIDY_EVERY_MS, () => void store.tidy().then(tidyLater))
  }

  return {
    async start() {
      await store.open()
      tidyLater()
      const { namespaces, selector } = config
      watch = startJobWatch({
        connection: deps.connection,
        namespaces,
        selector,
        clock,
        random,
        log,
        ...(deps.watchTiming && { timing: deps.watchTiming }),
        onEnded: (pod, endMs) => desk.ended(pod, endMs),
      })
      level()
      log.info({ namespaces, selector, stored: store.jobs }, 'the metrics of jobs are kept')
    },
    async stop() {
      cancelLevels()
      cancelTidy()
      await watch?.stop()
      await desk.stop()
    },
    routes: jobRoutes({
      cluster,
      store,
      desk,
      watch: { running: jobId => watch?.running(jobId) },
      verify: createJobVerifier({
        keys: deps.keys,
        issuer: config.issuer ?? deps.issuer,
        audience: config.audience,
        clock,
      }),
      page: config.page,
      metrics,
      wallMs: () => clock.wallMs(),
    }),
    status: () => ({
      running: watch?.runningPods ?? 0,
      waiting: desk.queueLength,
      stored: store.jobs,
      storedBytes: store.bytes,
      namespaces: Object.entries(watch?.silentForMs() ?? {}).map(([name, silentMs]) => ({
        name,
        silentSeconds: silentMs === null ? null : silentMs / 1000,
      })),
      failingQueries: desk.troubles(),
    }),
  }
}
