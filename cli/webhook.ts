import { Command, InvalidArgumentError, Option } from 'commander'
import { readFile } from 'node:fs/promises'
import { Registry } from 'prom-client'
import { registerBuildInfo } from '../lib/service/build-info.ts'
import { systemClock } from '../lib/service/clock.ts'
import { formatMistakes } from '../lib/service/config.ts'
import { parseListenAddress, type ListenAddress } from '../lib/service/listen-address.ts'
import { createLog, type LogLevel } from '../lib/service/log.ts'
import { createOpsServer } from '../lib/service/ops-server.ts'
import { StopStack } from '../lib/service/stop-stack.ts'
import { createWebhook } from '../webhook/app.ts'
import { readWebhookConfig, type WebhookConfig } from '../webhook/config.ts'
import { kubeconfigFile, kubeconfigOption } from './kubeconfig.ts'
import { fail, logLevelOption, messageOf, parsed, untilSignal } from './program.ts'
import { VERSION } from './version.ts'
import { fileCertificates, openCluster, type Surroundings } from './webhook/surroundings.ts'

/** After the drain: running answers, connections that do not end, and the ops server. */
const STOP_GRACE_MS = 8_000

interface WebhookFlags {
  config: string
  kubeconfig?: string
  drainSeconds: number
  timeScale: number
  logLevel: LogLevel
}

/** Reads flags and configuration, builds the parts, and runs until a signal. Sets the exit code: 0, 1, or 78 on bad input. */
export async function runWebhook(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const flags = parsed(webhookCommand(), argv).opts<WebhookFlags>()
  const config = await readConfig(flags.config)
  if (config === undefined) return
  const listen = parseListenAddress(config.listen)
  const opsListen = parseListenAddress(config.opsListen)
  if (listen === undefined || opsListen === undefined) return
  const log = createLog('webhook', flags.logLevel)
  const registry = new Registry()
  registerBuildInfo(registry, 'webhook', VERSION)
  const parts = { registry, clock: systemClock, random: Math.random, log }
  const { certificates, namespace } = config
  let surroundings: Surroundings
  try {
    surroundings =
      certificates.mode === 'files'
        ? fileCertificates(certificates, parts)
        : await openCluster(
            { kubeconfig: kubeconfigFile(flags.kubeconfig, env), env, namespace, timeScale: flags.timeScale },
            parts,
          )
  } catch (error) {
    const mend = 'certificates.mode self needs an API server: run in a pod, or give --kubeconfig'
    fail(`${flags.config}: ${mend} (${messageOf(error)})`)
    return
  }
  if (certificates.mode === 'files' && config.sidecar.native === 'auto')
    log.warn({}, 'sidecar.native is auto, but with certificates from files no API server is asked: no native sidecars')
  process.exit(await serve({ ...flags, config, listen, opsListen, surroundings }, parts))
}

interface ServeOptions extends Pick<WebhookFlags, 'drainSeconds'> {
  config: WebhookConfig
  listen: ListenAddress
  opsListen: ListenAddress
  surroundings: Surroundings
}

/** Runs until a signal or until a port proves taken; resolves with the exit code. */
async function serve(
  { config, listen, opsListen, surroundings, drainSeconds }: ServeOptions,
  { registry, clock, random, log }: Parameters<typeof fileCertificates>[1],
): Promise<number> {
  const signalled = untilSignal(log)
  const stack = new StopStack({ clock, log })
  const webhook = createWebhook({
    config,
    listen,
    certificates: surroundings.certificates,
    nativeSidecars: surroundings.nativeSidecars,
    endpointLagMs: drainSeconds * 1000,
    registry,
    clock,
    log,
  })
  const ops = createOpsServer({
    listen: opsListen,
    registry,
    ready: () => webhook.ready(),
    portTaken: 'fail',
    clock,
    random,
    log,
  })
  let exitCode = 0
  try {
    await ops.start()
    stack.add('ops server', () => ops.stop())
    stack.add('surroundings', () => surroundings.stop())
    stack.add('webhook', () => webhook.stop())
    const started = webhook.start()
    surroundings.start()
    await Promise.race([started, signalled])
    await signalled
  } catch (error) {
    exitCode = 1
    log.error({ err: error, listen: config.listen, opsListen: config.opsListen }, `cannot start: ${messageOf(error)}`)
  }
  await stack.drain({ withinMs: drainSeconds * 1000 + STOP_GRACE_MS })
  return exitCode
}

async function readConfig(file: string): Promise<WebhookConfig | undefined> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    fail(`${file}: cannot be read (${messageOf(error)})`)
    return undefined
  }
  const result = readWebhookConfig(text)
  if (result.ok) return result.config
  fail(formatMistakes(result.mistakes, file))
  return undefined
}

/** Its flags, for the parser and for the documentation. */
export function webhookCommand(): Command {
  return new Command('hadr webhook')
    .description('Gives every runner pod of opted-in namespaces its sidecar when it is created, and no other pod.')
    .addOption(new Option('--config <file>', 'configuration file (YAML)').env('HADR_CONFIG').makeOptionMandatory())
    .addOption(kubeconfigOption())
    .addOption(
      new Option('--drain-seconds <n>', 'how long to go on answering after SIGTERM, while calls may still come')
        .env('HADR_DRAIN_SECONDS')
        .argParser(numberWithin(0, 600))
        .default(10),
    )
    .addOption(
      new Option('--time-scale <factor>')
        .env('HADR_TIME_SCALE')
        .argParser(numberWithin(0.0001, 1))
        .default(1)
        .hideHelp(),
    )
    .addOption(logLevelOption())
    .version(VERSION)
}

function numberWithin(least: number, most: number): (text: string) => number {
  return text => {
    const value = Number(text)
    if (text.trim() === '' || !(value >= least && value <= most))
      throw new InvalidArgumentError(`It must be a number from ${least} to ${most}.`)
    return value
  }
}
