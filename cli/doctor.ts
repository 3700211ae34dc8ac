import { Command, Option } from 'commander'
import { readDeciderConfig } from '../decider/config.ts'
import { type ConfigResult, formatMistakes } from '../lib/service/config.ts'
import { EXIT_CONFIG, EXIT_USAGE } from '../lib/service/exit.ts'
import { readWebhookConfig } from '../webhook/config.ts'
import { runChecks, type Result } from './doctor/check.ts'
import { gitlabChecks } from './doctor/gitlab-checks.ts'
import { kubernetesChecks } from './doctor/kubernetes-checks.ts'
import { prometheusChecks } from './doctor/prometheus-checks.ts'
import { createContext, type DoctorWorld } from './doctor/tools.ts'
import { prepare, runForPeople } from './steering/run.ts'
import { Stop } from './steering/terminal.ts'

export const CHECKS = [...gitlabChecks, ...prometheusChecks, ...kubernetesChecks]

interface DoctorFlags {
  config?: string
  webhookConfig?: string
  runnerNamespace: string
  output: 'text' | 'json'
}

/**
 * Checks every precondition and changes nothing. Exit code: 0 nothing failed, 1 something did, 2 a wrong command line, 78
 * a configuration that cannot be read.
 */
export function runDoctor(argv: readonly string[], world: DoctorWorld): Promise<number> {
  return runForPeople(world, EXIT_USAGE, async () => {
    const flags = parse(argv, world)
    if (flags.config === undefined && flags.webhookConfig === undefined) {
      throw new Stop('--config, --webhook-config or both are needed: they say what to check', EXIT_USAGE)
    }
    const context = await createContext(world, {
      config: await load(flags.config, world, readDeciderConfig),
      webhook: await load(flags.webhookConfig, world, readWebhookConfig),
      runnerNamespace: flags.runnerNamespace,
    })
    const text = flags.output === 'text'
    const progress = progressLine(world, text)
    try {
      const results = await runChecks(CHECKS, context, {
        clock: world.clock,
        deadlineMs: world.checkDeadlineMs,
        signal: world.signal,
        onResult: result => {
          progress.clear()
          if (text) world.out(formatResult(result))
        },
        onProgress: progress.show,
      })
      progress.clear()
      const counts = countsOf(results)
      if (text) world.out(`\n${counts.ok} ok, ${counts.failed} failed, ${counts.skipped} skipped\n`)
      else world.out(`${JSON.stringify({ schema: 1, ...counts, checks: results.map(flat) }, null, 2)}\n`)
      return counts.failed === 0 ? 0 : 1
    } finally {
      await context.close()
    }
  })
}

/** One check for a terminal: the mark, what was checked, what was found, what mends it. */
export function formatResult({ title, verdict }: Result): string {
  const mark = { ok: 'ok     ', failed: 'FAILED ', skipped: 'skipped' }[verdict.status]
  const lines = [`${mark}  ${title}`, `         ${plain(verdict.detail)}`]
  if (verdict.status === 'failed') lines.push(`         mend: ${plain(verdict.mend)}`)
  return `${lines.join('\n')}\n`
}

/** What people wrote into GitLab or Kubernetes must not reach the terminal as commands. */
function plain(text: string): string {
  return text.replace(/\p{C}+/gu, ' ')
}

function flat({ id, title, verdict }: Result) {
  return { id, title, ...verdict }
}

function countsOf(results: readonly Result[]) {
  const count = (status: string) => results.filter(({ verdict }) => verdict.status === status).length
  return { ok: count('ok'), failed: count('failed'), skipped: count('skipped') }
}

/** What is still waited for, on a terminal only: one line that is written over. */
function progressLine({ err, isTerminal }: DoctorWorld, text: boolean) {
  const active = text && isTerminal
  return {
    show: (waitingFor: readonly string[]) => {
      const [first] = waitingFor
      if (active && first !== undefined) err(`\r\u001b[Kwaiting for ${waitingFor.length}: ${first} …`)
    },
    clear: () => {
      if (active) err('\r\u001b[K')
    },
  }
}

async function load<Config>(
  file: string | undefined,
  world: DoctorWorld,
  read: (text: string) => ConfigResult<Config>,
): Promise<Config | undefined> {
  if (file === undefined) return undefined
  const text = await world.readFile(file).catch((error: unknown) => {
    throw new Stop(`${file}: cannot be read (${error instanceof Error ? error.message : String(error)})`, EXIT_CONFIG)
  })
  const result = read(text)
  if (!result.ok) throw new Stop(formatMistakes(result.mistakes, file), EXIT_CONFIG)
  return result.config
}

function parse(argv: readonly string[], world: DoctorWorld): DoctorFlags {
  const option = (flags: string, description: string, variable: string, fallback?: string) => {
    const value = world.env[variable] ?? fallback
    const made = new Option(flags, `${description} (env: ${variable})`)
    return value === undefined || value === '' ? made : made.default(value)
  }
  return prepare(new Command('hadr doctor'), world)
    .description(
      'Checks every precondition of the decider and the webhook, and says what mends the ones that fail. Changes nothing.',
    )
    .addOption(option('--config <file>', 'the decider’s configuration: GitLab, Prometheus, pools', 'HADR_CONFIG'))
    .addOption(
      option('--webhook-config <file>', 'the webhook’s configuration: namespace, resources', 'HADR_WEBHOOK_CONFIG'),
    )
    .addOption(
      option('--runner-namespace <name>', 'where the runner pods are', 'HADR_RUNNER_NAMESPACE', 'gitlab-runners'),
    )
    .addOption(
      new Option('-o, --output <format>', 'for people or for scripts').choices(['text', 'json']).default('text'),
    )
    .addHelpText(
      'after',
      '\nThe GitLab token is that of the configuration, else HADR_GITLAB_TOKEN; Kubernetes is that of KUBECONFIG or of the pod.' +
        '\nExit code: 0 nothing failed, 1 something failed, 2 wrong command line, 78 a configuration cannot be read.',
    )
    .parse([...argv], { from: 'user' })
    .opts<DoctorFlags>()
}
