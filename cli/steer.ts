import { Command, InvalidArgumentError, Option } from 'commander'
import { EXIT_USAGE } from '../lib/service/exit.ts'
import { addConnectionOptions, connect, type ConnectionFlags } from './steering/connection.ts'
import { formatDuration, parseDuration } from './steering/duration.ts'
import { follow } from './steering/follow.ts'
import { holderOf, wordsOf } from './steering/overview.ts'
import { prepare, runForPeople } from './steering/run.ts'
import { steer, type Steered, type Wanted } from './steering/steer.ts'
import type { Terminal } from './steering/terminal.ts'

const HOUR_MS = 3_600_000
const DEFAULT_WAIT_MS = 180_000

interface SteerFlags extends Partial<ConnectionFlags> {
  pool: string
}

interface WishFlags extends SteerFlags {
  for: number
  why: string
}

interface SwitchFlags extends WishFlags {
  to: string
  force: boolean
  wait: boolean
  timeout: number
}

/** Pins a pool to a cluster and waits until it holds. Exit code: 0 done, 1 refused or not in time, 2, 69, 78. */
export function runSwitch(argv: readonly string[], terminal: Terminal): Promise<number> {
  return runForPeople(terminal, EXIT_USAGE, async () => {
    const command = addWish(new Command('hadr switch'), 2 * HOUR_MS, terminal)
      .description('Moves a main tag to a cluster and keeps it there for a while, as long as that cluster can serve.')
      .addOption(new Option('--to <cluster>', 'the cluster that shall hold the main tag').makeOptionMandatory())
      .addOption(new Option('--force', 'do not insist on a known strength and a fresh heartbeat').default(false))
      .addOption(new Option('--no-wait', 'write the wish and return'))
      .addOption(duration('--timeout <time>', 'how long to wait for the move', DEFAULT_WAIT_MS))
    const flags = parse(command, argv, terminal).opts<SwitchFlags>()
    const { pool, to, why, force } = flags
    const { steered, desk, project } = await write(
      flags,
      { kind: 'pin', pool, to, forMs: flags.for, why, force },
      terminal,
    )
    if (steered.kind !== 'written') return tell(steered, terminal)

    const before = holderOf(wordsOf(steered.scene, pool))?.cluster
    terminal.out(`Pool ${pool} is pinned to cluster ${to} for ${formatDuration(flags.for)}${until(steered)}.\n`)
    if (before === to) {
      terminal.out(`Cluster ${to} holds the main tag already and keeps it.\n`)
      return 0
    }
    const from =
      before === undefined
        ? 'Nobody holds the main tag now.'
        : `Cluster ${before} holds it now and gives it up once ${to} is seen serving.`
    terminal.out(`${from} Running jobs end where they run.\n`)
    if (!flags.wait) return 0
    const followed = await follow({
      desk,
      project,
      pool,
      to,
      withinMs: flags.timeout,
      clock: terminal.clock,
      progress: line => terminal.err(`${line}\n`),
      signal: terminal.signal,
    })
    if (followed.moved) {
      terminal.out(`Cluster ${to} holds the main tag of ${pool} (after ${formatDuration(followed.tookMs)}).\n`)
      return 0
    }
    terminal.err(
      `Not moved within ${formatDuration(flags.timeout)}: ${followed.why} The pin stays; hadr resume --pool ${pool} takes it back.\n`,
    )
    return 1
  })
}

/** Exit code: 0 done, 1 refused, 2, 69, 78. */
export function runPause(argv: readonly string[], terminal: Terminal): Promise<number> {
  return runForPeople(terminal, EXIT_USAGE, async () => {
    const command = addWish(new Command('hadr pause'), 4 * HOUR_MS, terminal).description(
      'Lets the deciders of a pool touch no tag for a while: nothing moves, whatever dies.',
    )
    const flags = parse(command, argv, terminal).opts<WishFlags>()
    const { pool, why } = flags
    const { steered } = await write(flags, { kind: 'pause', pool, forMs: flags.for, why }, terminal)
    if (steered.kind !== 'written') return tell(steered, terminal)
    terminal.out(
      `Pool ${pool} is paused for ${formatDuration(flags.for)}${until(steered)}: no tag moves, a dead cluster keeps it too. ` +
        `hadr resume --pool ${pool} ends it.\n`,
    )
    return 0
  })
}

/** Exit code: 0 done or nothing to do, 1 refused, 2, 69, 78. */
export function runResume(argv: readonly string[], terminal: Terminal): Promise<number> {
  return runForPeople(terminal, EXIT_USAGE, async () => {
    const command = addPool(new Command('hadr resume'), terminal).description(
      'Ends the pause and the pin of a pool: the deciders decide by themselves again.',
    )
    const flags = parse(command, argv, terminal).opts<SteerFlags>()
    const { steered } = await write(flags, { kind: 'resume', pool: flags.pool }, terminal)
    if (steered.kind !== 'written') return tell(steered, terminal)
    terminal.out(`Pool ${flags.pool} is neither paused nor pinned any more; its deciders read that within 10 s.\n`)
    return 0
  })
}

async function write(flags: SteerFlags, wanted: Wanted, terminal: Terminal) {
  const { desk, project } = await connect(flags, terminal)
  const { clock, random, signal } = terminal
  const progress = (line: string) => terminal.err(`${line}\n`)
  return { desk, project, steered: await steer({ desk, project, wanted, clock, random, progress, signal }) }
}

function tell(steered: Exclude<Steered, { kind: 'written' }>, terminal: Terminal): number {
  if (steered.kind === 'unchanged') {
    terminal.out(`${steered.why}\n`)
    return 0
  }
  terminal.err(`Refused: ${steered.why}. ${steered.mend}\n`)
  return 1
}

function until({ untilMs }: Extract<Steered, { kind: 'written' }>): string {
  return untilMs === null ? '' : ` (until ${new Date(untilMs).toISOString().slice(0, 19)}Z)`
}

function addPool(command: Command, terminal: Terminal): Command {
  return prepare(command, terminal).addOption(new Option('--pool <name>', 'the pool').makeOptionMandatory())
}

function addWish(command: Command, forMs: number, terminal: Terminal): Command {
  return addPool(command, terminal)
    .addOption(duration('--for <time>', 'how long, such as 90s, 30m, 2h or 1d', forMs))
    .addOption(new Option('--why <text>', 'for those who wonder later').default(''))
}

function duration(flags: string, description: string, defaultMs: number): Option {
  return new Option(flags, description).default(defaultMs, formatDuration(defaultMs)).argParser(text => {
    const ms = parseDuration(text)
    if (ms === undefined) throw new InvalidArgumentError('It is a time such as 90s, 30m, 2h or 1d.')
    return ms
  })
}

function parse(command: Command, argv: readonly string[], terminal: Terminal): Command {
  return addConnectionOptions(command, terminal.env)
    .addHelpText(
      'after',
      '\nExit code: 0 done, 1 refused or not in time, 2 wrong command line, 69 GitLab cannot be read, 78 not configured.',
    )
    .parse([...argv], { from: 'user' })
}
