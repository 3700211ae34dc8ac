import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { Registry } from 'prom-client'
import { createDecider } from '../decider/app.ts'
import { type DeciderConfig, readDeciderConfig } from '../decider/config.ts'
import type { Jobs } from '../decider/jobs/jobs.ts'
import { watchConfig } from '../decider/reload.ts'
import { statusPage } from '../decider/status/page.ts'
import { createGitLabClient } from '../lib/gitlab/client.ts'
import { createGitLabFleet } from '../lib/gitlab/fleet.ts'
import { createAxiosTransport } from '../lib/http/axios-transport.ts'
import { createPrometheusClient } from '../lib/prometheus/client.ts'
import { registerBuildInfo } from '../lib/service/build-info.ts'
import { systemClock } from '../lib/service/clock.ts'
import { formatMistakes } from '../lib/service/config.ts'
import { parseListenAddress } from '../lib/service/listen-address.ts'
import { createLog } from '../lib/service/log.ts'
import { createOpsServer } from '../lib/service/ops-server.ts'
import { StopStack } from '../lib/service/stop-stack.ts'
import { gitlabAccess, prometheusTransport, readCa } from './decider/clients.ts'
import { type DeciderFlags, deciderCommand } from './decider/flags.ts'
import { createFleetParts, rivalMistakes } from './decider/fleet.ts'
import { startJobs } from './decider/jobs.ts'
import { type KubernetesParts, connectKubernetes, identityOf, knowsKubernetes } from './decider/kubernetes.ts'
import { statusRoutes } from './decider/routes.ts'
import { kubeconfigFile } from './kubeconfig.ts'
import { fail, messageOf, parsed, untilSignal } from './program.ts'
import { readStatusPage } from './status-page.ts'
import { VERSION } from './version.ts'

/** Kubernetes gives 30 s by default; a write under way and one farewell fit well. */
const STOP_WITHIN_MS = 20_000

const NO_KUBERNETES: KubernetesParts = { close: () => Promise.resolve() }

/** Reads flags and configuration, builds the parts, and runs until a signal. Sets the exit code: 0, or 78 on bad input. */
export async function runDecider(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const flags = parsed(deciderCommand(), argv).opts<DeciderFlags>()
  const text = await readFile(flags.config, 'utf8').catch((error: unknown) => {
    fail(`${flags.config}: cannot be read (${messageOf(error)})`)
  })
  if (text === undefined) return
  const result = readDeciderConfig(text)
  if (!result.ok) {
    fail(formatMistakes(result.mistakes, flags.config))
    return
  }
  const { config } = result
  if (config.gitlab.tokenFile === undefined && !env['HADR_GITLAB_TOKEN']) {
    fail(`${flags.config}: gitlab.tokenFile is required (or HADR_GITLAB_TOKEN): the decider reads and writes runners`)
    return
  }
  const listen = parseListenAddress(flags.listen ?? config.listen)
  if (!listen) {
    fail('--listen must be an address and a port, such as 0.0.0.0:8080 or :8080')
    return
  }
  const kubeconfig = kubeconfigFile(flags.kubeconfig, env)
  if (flags.lease && !knowsKubernetes(kubeconfig, env)) {
    fail(
      'no Kubernetes here, so that no Lease can say which replica leads: run in a cluster, give --kubeconfig, ' +
        'or start a single process with --no-lease',
    )
    return
  }
  if (!knowsKubernetes(kubeconfig, env) && (config.runners ?? config.pools.some(pool => pool.runners))) {
    fail(`${flags.config}: runners needs Kubernetes, and there is none here: run in a cluster or give --kubeconfig`)
    return
  }
  if (!knowsKubernetes(kubeconfig, env) && config.jobs) {
    fail(`${flags.config}: jobs needs Kubernetes, and there is none here: run in a cluster or give --kubeconfig`)
    return
  }
  await serve({ config, text, flags, kubeconfig, listen, env })
}

interface Serving {
  config: DeciderConfig
  text: string
  flags: DeciderFlags
  kubeconfig: string | undefined
  listen: NonNullable<ReturnType<typeof parseListenAddress>>
  env: NodeJS.ProcessEnv
}

async function serve({ config, text, flags, kubeconfig, listen, env }: Serving): Promise<void> {
  const log = createLog('decider', flags.logLevel)
  const clock = systemClock
  const random = Math.random
  const podName = env['POD_NAME']
  const identity = identityOf(podName, hostname())
  const userAgent = `gitlab-runner-hadr-decider/${VERSION}`
  const registry = new Registry()
  registerBuildInfo(registry, 'decider', VERSION)
  const stack = new StopStack({ clock, log })

  const pod = podName === undefined ? {} : { podName }
  const kubernetes = knowsKubernetes(kubeconfig, env)
    ? await connectKubernetes({
        config,
        env,
        kubeconfig,
        lease: flags.lease,
        ...pod,
        identity,
        userAgent,
        clock,
        random,
        log,
      }).catch((error: unknown) => fail(`Kubernetes: ${messageOf(error)}`))
    : NO_KUBERNETES
  if (!kubernetes) return
  stack.add('Kubernetes', () => kubernetes.close())
  const rivals = await rivalMistakes(config, kubernetes, { clock, log })
  if (rivals.length > 0) {
    fail(rivals.map(rival => `${flags.config}: ${rival}`).join('\n'))
    await stack.drain({ withinMs: STOP_WITHIN_MS })
    return
  }

  let count: (endpoint: string, outcome: string) => void = () => undefined
  let rateLimit: (remaining: number) => void = () => undefined
  const access = await gitlabAccess({
    config,
    env,
    userAgent,
    onRequest: (endpoint, outcome) => count(endpoint, outcome),
    onRateLimit: remaining => rateLimit(remaining),
    clock,
    random,
    log,
  })
  const runners = createGitLabClient(access.runners)
  const project = access.project === access.runners ? runners : createGitLabClient(access.project)
  const prometheus = createPrometheusClient({
    url: config.prometheus.url,
    transport: await prometheusTransport(config.prometheus, log),
    clock,
  })

  const fleet = createFleetParts({
    config,
    prometheus,
    gitlab: createGitLabFleet(access.runners),
    kubernetes,
    registry,
    dryRun: flags.dryRun,
    clock,
    random,
    log,
  })
  let jobs: Jobs | undefined
  const decider = createDecider({
    jobsStatus: () => jobs?.status(),
    config,
    fleet: fleet.fleet,
    runners,
    project,
    prometheus,
    identity: { id: identity, version: VERSION },
    dryRun: flags.dryRun,
    registry,
    clock,
    random,
    log,
    ...(kubernetes.campaign && { campaign: kubernetes.campaign }),
    ...(kubernetes.events && { events: kubernetes.events }),
    ...(kubernetes.readWorkloads && { readWorkloads: kubernetes.readWorkloads }),
  })
  count = (endpoint, outcome) => decider.metrics.countRequest(endpoint, outcome)
  rateLimit = remaining => decider.metrics.rateLimitRemaining(remaining)

  if (config.jobs) {
    const started = await startJobs(config.jobs, {
      config,
      kubeconfig,
      env,
      userAgent,
      prometheusTransport: await prometheusTransport(config.prometheus, log),
      gitlabTransport: createAxiosTransport(await readCa(config.gitlab.caFile)),
      packageClient: () => createGitLabClient(access.project),
      publishes: () => !flags.dryRun && decider.status().role === 'leader',
      registry,
      clock,
      random,
      log,
    }).catch((error: unknown) => fail(`jobs: ${messageOf(error)}`))
    if (!started) {
      await stack.drain({ withinMs: STOP_WITHIN_MS })
      return
    }
    jobs = started
    stack.add('jobs', () => started.stop())
  }

  const ops = createOpsServer({
    listen,
    registry,
    ready: () => decider.ready(),
    routes: { ...statusRoutes(decider, statusPage(await readStatusPage())), ...jobs?.routes },
    portTaken: 'fail',
    clock,
    random,
    log,
  })
  await ops.start()
  stack.add('ops server', () => ops.stop())
  log.info({ cluster: config.cluster, profile: config.profile, dryRun: flags.dryRun }, 'the decider starts')
  // Hints are a convenience: without them the fleets look as often as they always do.
  await fleet.hooks?.start().catch((error: unknown) => log.error({ err: error }, 'jobHooks.listen cannot be used'))
  stack.add('job hooks', () => fleet.hooks?.stop())
  decider.start()
  stack.add('events', () => kubernetes.events?.flush())
  stack.add('decider', () => decider.stop())
  const watching = new AbortController()
  const read = () => readFile(flags.config, 'utf8')
  void watchConfig({ read, text, name: flags.config, decider, clock, log }, watching.signal)
  stack.add('configuration', () => watching.abort())

  await untilSignal(log)
  await stack.drain({ withinMs: STOP_WITHIN_MS })
  process.exit(0)
}
