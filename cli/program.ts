import { type Command, Option } from 'commander'
import { EXIT_CONFIG, EXIT_USAGE } from '../lib/service/exit.ts'
import { type Log, LOG_LEVELS } from '../lib/service/log.ts'

/** The same flag in every program that serves. */
export function logLevelOption(): Option {
  return new Option('--log-level <level>', 'least important lines to log')
    .env('HADR_LOG_LEVEL')
    .choices(LOG_LEVELS)
    .default('info')
}

/** The command with what its arguments and environment say; ends the process on bad ones, and after `--help`. */
export function parsed(command: Command, argv: readonly string[]): Command {
  return command
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : EXIT_USAGE))
    .parse([...argv], { from: 'user' })
}

/** Tells a person what makes the start useless, and with which code the process is to end. */
export function fail(message: string): undefined {
  process.stderr.write(`${message}\n`)
  process.exitCode = EXIT_CONFIG
  return undefined
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Resolves when somebody wants this process to end. */
export function untilSignal(log: Log): Promise<void> {
  return new Promise(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        log.info({ signal }, 'stopping')
        resolve()
      })
    }
  })
}
