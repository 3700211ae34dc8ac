import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { createGitLabClient } from '../lib/gitlab/client.ts'
import type { GitLabClient } from '../lib/gitlab/types.ts'
import { createNodeTransport } from '../lib/http/node-transport.ts'
import { systemClock } from '../lib/service/clock.ts'
import { createLog, type Log } from '../lib/service/log.ts'
import { StopStack } from '../lib/service/stop-stack.ts'
import { createTokenSource } from '../lib/service/token-source.ts'
import { createSidecar, type SidecarOptions } from '../sidecar/app.ts'
import { sidecarTiming } from '../sidecar/timing.ts'
import { parseSidecar, type Env, type SidecarSettings } from './sidecar-options.ts'

const STOP_WITHIN_MS = 2_000

/**
 * Runs the sidecar until a signal ends it; resolves when everything is stopped. It never ends by itself and never
 * rejects: a wrong flag, a taken port, a missing token, even a fault of its own are logged and shown as metrics, because
 * the end of this container would be the trouble of the runner beside it.
 *
 * SIGTERM waits for the runner to finish its jobs; a second signal, or SIGINT, ends at once.
 */
export async function runSidecar(argv: readonly string[], env: Env): Promise<void> {
  const version = env['HADR_VERSION'] ?? 'dev'
  const parsed = parseSidecar(argv, env, version, text => process.stdout.write(text))
  if (!parsed.run) return
  const { settings } = parsed
  const log = createLog('sidecar', settings.logLevel)
  const problems = [...parsed.problems]
  if (parsed.tokenFromArgument) {
    log.warn(
      { mend: 'use --gitlab-token-file' },
      'the token was given as an argument, where other programs can read it',
    )
  }
  const onFault = (error: unknown) => log.error({ err: error }, 'a fault of the sidecar; it goes on')
  process.on('uncaughtException', onFault)
  process.on('unhandledRejection', onFault)

  const stack = new StopStack({ clock: systemClock, log })
  const client = buildClient(settings, { log, problems, stack })
  const local = createNodeTransport({ maxSockets: 1 })
  stack.add('connection to the runner', () => local.close())
  for (const problem of problems) log.error({ problem }, 'a setting is wrong; its default is used')
  const sidecar = createSidecar({
    options: optionsOf(settings, env, { version, configurationOk: problems.length === 0 }),
    transport: local,
    client: client?.client,
    tokens: client?.tokens ?? createTokenSource({ log }),
    clock: systemClock,
    random: Math.random,
    log,
  })
  stack.add('sidecar', () => sidecar.stop())

  await new Promise<void>(resolve => {
    const onTerminate = () => {
      if (stopping) {
        resolve()
        return
      }
      stopping = true
      log.info({}, 'told to stop; serving until the runner has finished')
      sidecar.drain().then(resolve, resolve)
    }
    let stopping = false
    const onInterrupt = () => resolve()
    process.on('SIGTERM', onTerminate)
    process.on('SIGINT', onInterrupt)
    stack.add('signals', () => {
      process.off('SIGTERM', onTerminate)
      process.off('SIGINT', onInterrupt)
    })
    sidecar.start().catch(onFault)
  })
  await stack.drain({ withinMs: STOP_WITHIN_MS })
  log.info({}, 'stopped')
  process.off('uncaughtException', onFault)
  process.off('unhandledRejection', onFault)
}

function optionsOf(
  settings: SidecarSettings,
  env: Env,
  { version, configurationOk }: { version: string; configurationOk: boolean },
): SidecarOptions {
  // The host's name is the pod's in Kubernetes; POD_NAME is there besides for pods on whose host's name it is cut short.
  const host = env['HOSTNAME'] ?? hostname()
  const names = [host, env['POD_NAME'] ?? ''].filter(name => name !== '')
  return {
    listen: settings.listen,
    place: {
      podName: env['POD_NAME'] ?? host,
      podNamespace: env['POD_NAMESPACE'] ?? '',
      podIp: env['POD_IP'] ?? '',
      groupId: settings.groupId ?? '',
    },
    names: [...new Set(names)],
    group: settings.groupId,
    runnerIds: settings.runnerIds,
    perPage: settings.runnersPerList,
    runnerMetricsUrl: settings.runnerMetricsUrl,
    procRoot: '/proc',
    timing: sidecarTiming(settings.statusCheckSeconds, settings.timeScale),
    configurationOk,
    version,
  }
}

/** Undefined without a GitLab or without a token: a supported choice, local facts decide then. */
function buildClient(
  settings: SidecarSettings,
  { log, problems, stack }: { log: Log; problems: string[]; stack: StopStack },
): { client: GitLabClient; tokens: ReturnType<typeof createTokenSource> } | undefined {
  const { gitlabUrl, token, tokenFile, caFile } = settings
  if (token === undefined && tokenFile === undefined) return undefined
  if (gitlabUrl === undefined) {
    problems.push('--gitlab-url: is missing, and the token is of no use without it')
    return undefined
  }
  if (settings.groupId === undefined && settings.runnerIds.length === 0) {
    problems.push('--gitlab-group-id: is missing, and without it or --runner-id the runner cannot be found')
  }
  const tokens = createTokenSource({
    ...(tokenFile === undefined ? {} : { file: tokenFile }),
    ...(token === undefined ? {} : { value: token }),
    log,
  })
  try {
    const ca = caFile === undefined ? undefined : readCa(caFile, problems)
    const transport = createNodeTransport({ maxSockets: 2, ...(ca === undefined ? {} : { ca }) })
    stack.add('connections to GitLab', () => transport.close())
    const client = createGitLabClient({
      url: gitlabUrl,
      transport,
      token: () => tokens.token(),
      clock: systemClock,
      random: Math.random,
      log,
    })
    return { client, tokens }
  } catch (error) {
    problems.push(
      `the connection to GitLab cannot be set up: ${error instanceof Error ? error.message : String(error)}`,
    )
    return undefined
  }
}

function readCa(path: string, problems: string[]): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    problems.push(`--gitlab-ca-file: ${error instanceof Error ? error.message : String(error)}`)
    return undefined
  }
}
