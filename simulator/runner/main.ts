import { Command, InvalidArgumentError } from 'commander'
import { createLog } from '../../lib/service/log.ts'
import { startRunner } from './runner.ts'

interface Flags {
  gitlabUrl: string
  token: string[]
  name: string
  systemId?: string
  listen: string
  concurrent: number
  limit: number
  checkIntervalMs: number
  longPoll: boolean
  breakerMs: number
  jobDurationMs: number
  timeScale: number
}

const flags = new Command('simulated-runner')
  .description('Imitates one gitlab-runner process: polls GitLab for jobs, plays them, serves its metrics.')
  .requiredOption('--gitlab-url <url>', 'GitLab, or its /api/v4')
  .requiredOption('--token <token...>', 'token of a [[runners]] section; give it again for each further section')
  .option('--name <name>', 'name of the runner in its configuration', 'simulated-runner')
  .option('--system-id <id>', 'made up when missing')
  .option('--listen <address>', 'address of the metrics', '127.0.0.1:9252')
  .option('--concurrent <jobs>', 'most jobs at once', number, 10)
  .option('--limit <jobs>', 'most jobs at once of each section; 0 for no limit', number, 0)
  .option('--check-interval-ms <ms>', 'pause between two requests for a job', number, 3_000)
  .option('--no-long-poll', 'never let GitLab hold a request')
  .option('--breaker-ms <ms>', 'how long three unhealthy answers in a row switch a section off', number, 3_600_000)
  .option('--job-duration-ms <ms>', 'length of jobs without the variable SIMULATED_DURATION_MS', number, 30_000)
  .option('--time-scale <factor>', 'multiplies every interval, the length of jobs included', number, 1)
  .parse()
  .opts<Flags>()

function number(text: string): number {
  const value = Number(text)
  if (text === '' || !Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError('It must be a number from 0 up.')
  return value
}

async function main(): Promise<void> {
  const { token, ...options } = flags
  const log = createLog('simulated-runner')
  const runner = await startRunner({ ...options, tokens: token, log })
  log.info({ metricsUrl: runner.metricsUrl, systemId: runner.systemId }, 'the runner runs')

  // As GitLab Runner: SIGQUIT waits for its jobs, SIGTERM and SIGINT give them up; a second signal may only hasten.
  const stop = (how: 'graceful' | 'abort') => {
    log.info({ how }, 'the runner stops')
    void runner.stop(how).then(() => process.exit(0))
  }
  process.once('SIGQUIT', () => stop('graceful'))
  process.once('SIGTERM', () => stop('abort'))
  process.once('SIGINT', () => stop('abort'))
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
})
