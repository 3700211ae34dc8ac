import { CommanderError, type Command } from 'commander'
import { readFile } from 'node:fs/promises'
import { GitLabError } from '../../lib/gitlab/types.ts'
import { createAxiosTransport } from '../../lib/http/axios-transport.ts'
import { systemClock } from '../../lib/service/clock.ts'
import { EXIT_UNAVAILABLE } from '../../lib/service/exit.ts'
import { VERSION } from '../version.ts'
import { Stop, type Terminal } from './terminal.ts'

/** A command with help, version and mistakes on the terminal it is given, and without an exit of its own. */
export function prepare(command: Command, terminal: Terminal): Command {
  return command.version(VERSION).exitOverride().configureOutput({ writeOut: terminal.out, writeErr: terminal.err })
}

/**
 * Runs a command for people to its exit code. `usageCode`: for a wrong command line. GitLab's refusals and silence are
 * told in one line and end with 69, since nothing is known then.
 */
export async function runForPeople(
  terminal: Terminal,
  usageCode: number,
  work: () => Promise<number>,
): Promise<number> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : usageCode
    if (error instanceof Stop) {
      terminal.err(`${error.message}\n`)
      return error.exitCode
    }
    // Ctrl-C, as shells count it.
    if (terminal.signal.aborted) return 130
    if (!(error instanceof GitLabError)) throw error
    terminal.err(`${error.message}\n`)
    return EXIT_UNAVAILABLE
  }
}

/** The real world; ends the process with the exit code of `work`. */
export async function onTerminal(work: (terminal: Terminal) => Promise<number>): Promise<void> {
  const interrupted = new AbortController()
  process.once('SIGINT', () => interrupted.abort(new Error('interrupted')))
  process.exitCode = await work({
    env: process.env,
    clock: systemClock,
    random: Math.random,
    out: text => process.stdout.write(text),
    err: text => process.stderr.write(text),
    isTerminal: process.stdout.isTTY,
    signal: interrupted.signal,
    openTransport: async caFile =>
      createAxiosTransport(caFile === undefined ? {} : { ca: await readFile(caFile, 'utf8') }),
  })
  // Idle connections would keep the process for half a minute; what was written is flushed first.
  for (const stream of [process.stdout, process.stderr])
    await new Promise<void>(resolve => stream.write('', () => resolve()))
  process.exit()
}
