import { Command, Option } from 'commander'
import { GitLabError } from '../lib/gitlab/types.ts'
import { EXIT_USAGE_SYSEXITS } from '../lib/service/exit.ts'
import { addConnectionOptions, connect, type ConnectionFlags } from './steering/connection.ts'
import { overviewOf, type Overview, type Verdict } from './steering/overview.ts'
import { readScene } from './steering/read.ts'
import { prepare, runForPeople } from './steering/run.ts'
import { formatLine, formatOverview } from './steering/table.ts'
import { Stop, type Terminal } from './steering/terminal.ts'

const REDRAW_MS = 5000
const CLEAR_SCREEN = '\u001b[H\u001b[2J'

const EXIT_OF: Readonly<Record<Verdict, number>> = { ok: 0, degraded: 1, nobody: 2 }

interface StatusFlags extends Partial<ConnectionFlags> {
  watch: boolean
  output: 'table' | 'json'
  pool?: string
}

/**
 * Who holds each main tag, and why. The exit code is the answer: 0 ok, 1 degraded, 2 nobody holds; 64 a wrong command
 * line, 69 GitLab cannot be read, 78 something is not configured.
 */
export function runStatus(argv: readonly string[], terminal: Terminal): Promise<number> {
  return runForPeople(terminal, EXIT_USAGE_SYSEXITS, async () => {
    const flags = parse(argv, terminal)
    const { desk, project } = await connect(flags, terminal)
    const look = async () => {
      const scene = await readScene({ desk, project, details: true, signal: terminal.signal })
      const overview = overviewOf(scene, flags.pool)
      if (flags.pool !== undefined && overview.pools.length === 0) {
        const known = overviewOf(scene).pools.map(({ pool }) => pool)
        throw new Stop(`there is no pool ${flags.pool}; known: ${known.join(', ') || 'none'}`, EXIT_USAGE_SYSEXITS)
      }
      return overview
    }
    if (flags.watch) return watch(look, flags.output, terminal)
    const overview = await look()
    terminal.out(flags.output === 'json' ? `${JSON.stringify(overview, null, 2)}\n` : formatOverview(overview))
    return EXIT_OF[overview.verdict]
  })
}

/** Until Ctrl-C, then the newest verdict. A GitLab that does not answer is told and asked again. */
async function watch(look: () => Promise<Overview>, output: 'table' | 'json', terminal: Terminal): Promise<number> {
  let code = 0
  while (!interrupted(terminal)) {
    try {
      const overview = await look()
      code = EXIT_OF[overview.verdict]
      terminal.out(frame(overview, output, terminal))
    } catch (error) {
      if (!(error instanceof GitLabError)) throw error
      if (!interrupted(terminal)) terminal.err(`${error.message}\n`)
    }
    await terminal.clock.sleep(REDRAW_MS, terminal.signal).catch(() => undefined)
  }
  return code
}

/** A function, since TypeScript takes the flag of the loop's condition for constant. */
function interrupted({ signal }: Terminal): boolean {
  return signal.aborted
}

function frame(overview: Overview, output: 'table' | 'json', { isTerminal }: Terminal): string {
  if (output === 'json') return `${JSON.stringify(overview)}\n`
  return isTerminal ? `${CLEAR_SCREEN}${overview.at}\n\n${formatOverview(overview)}` : formatLine(overview)
}

function parse(argv: readonly string[], terminal: Terminal): StatusFlags {
  const command = prepare(new Command('hadr status'), terminal)
    .description('Who holds each main tag, how strong each cluster is, and what is wrong.')
    .addOption(new Option('-w, --watch', 'look again every 5 s until Ctrl-C').default(false))
    .addOption(
      new Option('-o, --output <format>', 'for people or for scripts').choices(['table', 'json']).default('table'),
    )
    .addOption(new Option('--pool <name>', 'this pool only'))
    .addHelpText(
      'after',
      '\nExit code: 0 ok, 1 degraded, 2 nobody holds; 64 wrong command line, 69 GitLab cannot be read, 78 not configured.',
    )
  return addConnectionOptions(command, terminal.env)
    .parse([...argv], { from: 'user' })
    .opts<StatusFlags>()
}
