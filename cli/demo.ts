import { Command, Option } from 'commander'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { systemClock } from '../lib/service/clock.ts'
import { EXIT_USAGE } from '../lib/service/exit.ts'
import { silentLog } from '../lib/service/log.ts'
import { prometheusVersion } from '../simulator/prometheus/process.ts'
import { runFleetDemo } from './demo/fleet/run.ts'
import { type Paint, painter } from './demo/picture.ts'
import { Screen } from './demo/screen.ts'
import { type Outcome, playScript } from './demo/script.ts'
import { createStage } from './demo/stage.ts'
import type { StageOptions } from './demo/stage-options.ts'
import { VERSION } from './version.ts'

interface DemoFlags {
  timeScale: number
  serve: boolean
  fleet: boolean
  color: boolean
  keepFiles: boolean
}

/** Plays the fail-over on this machine. Exit code 0 only if every promise held; 1 otherwise. */
export async function runDemo(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const flags = parse(argv)
  const output = process.stdout
  const clock = systemClock
  const colour = flags.color && output.isTTY && env['NO_COLOR'] === undefined
  const paint = painter(colour)
  const screen = new Screen(output, clock, paint)
  const stopping = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => stopping.abort(new Error(`stopped by ${name}`)))
  }

  const version = await prometheusVersion()
  screen.line(
    paint(
      'bold',
      flags.fleet
        ? 'gitlab-runner-hadr: the runner managers of a cluster follow the demand'
        : 'gitlab-runner-hadr: two clusters, one main tag, and one of them dies',
    ),
  )
  screen.line(
    version === undefined
      ? 'Prometheus: none on the PATH, so a simulated query endpoint stands in. Debian: apt-get install prometheus.'
      : `Prometheus: ${version}, one per cluster.`,
  )
  screen.line(
    `Time scale: ${flags.timeScale}; all intervals are multiplied by it (1 second here is ${1 / flags.timeScale} seconds of a real installation).`,
  )

  const folder = await mkdtemp(join(tmpdir(), 'hadr-demo-'))
  const options: StageOptions = {
    timeScale: flags.timeScale,
    clusters: ['a', 'b'],
    runnersPerCluster: 3,
    realPrometheus: version !== undefined,
    programs: dirname(process.argv[1] ?? ''),
    folder,
    clock,
    random: Math.random,
    log: silentLog,
    signal: stopping.signal,
  }
  if (flags.fleet) {
    process.exitCode = await runFleetDemo({ options, screen, paint, clock }).then(
      held => (held ? 0 : 1),
      (error: unknown) => {
        screen.line(error instanceof Error ? error.message : String(error))
        return 1
      },
    )
    await cleanUp(folder, flags, screen)
    return
  }
  const stage = await createStage(options)
  try {
    // One after the other, as clusters are adopted in life: the one that serves already comes first.
    for (const cluster of stage.clusters) {
      screen.tell(`Cluster ${cluster.name} starts: three runners with their sidecars, a Prometheus, a decider.`)
      await cluster.start()
    }
    const { timeScale } = flags
    const outcome = await playScript({ stage, screen, paint, clock, timeScale, signal: stopping.signal })
    summarise(outcome, screen, paint, timeScale)
    process.exitCode = outcome.broken.length === 0 ? 0 : 1
    if (flags.serve && !stopping.signal.aborted) {
      screen.line('Still running; stop with Ctrl-C.')
      screen.line(`  GitLab                    ${stage.gitlab.url}`)
      for (const cluster of stage.clusters)
        screen.line(`  status page of cluster ${cluster.name}  ${cluster.deciderUrl}/`)
      await new Promise<void>(resolve => stopping.signal.addEventListener('abort', () => resolve(), { once: true }))
    }
  } catch (error) {
    screen.line(error instanceof Error ? error.message : String(error))
    process.exitCode = 1
  } finally {
    await stage.close()
    await cleanUp(folder, flags, screen)
  }
}

async function cleanUp(folder: string, { keepFiles }: DemoFlags, screen: Screen): Promise<void> {
  if (keepFiles || process.exitCode === 1) screen.line(`Logs and configurations: ${folder}`)
  else await rm(folder, { recursive: true, force: true })
}

function summarise(outcome: Outcome, screen: Screen, paint: Paint, timeScale: number): void {
  const { jobs, pickedBy } = outcome
  const seconds = (value: number | undefined) =>
    value === undefined ? 'never' : `${value.toFixed(1)} s (${(value / timeScale).toFixed(0)} s unscaled)`
  const picked = Object.entries(pickedBy).map(([cluster, count]) => `${cluster} ${count}`)
  screen.line(paint('bold', 'Summary'))
  const facts: [string, string][] = [
    ['death to main tag moved', seconds(outcome.secondsToMove)],
    ['death to first job elsewhere', seconds(outcome.secondsToJob)],
    ['nobody carried the main tag', `${outcome.nobodySeconds.toFixed(1)} s`],
    ['two live clusters carried it', `${outcome.bothSeconds.toFixed(1)} s`],
    ['jobs', `${jobs.created} created, ${jobs.succeeded} succeeded, picked by ${picked.join(', ')}`],
    ['jobs lost', String(jobs.lost)],
    ['jobs interrupted', `${jobs.interrupted}, running on the cluster when it died`],
  ]
  for (const [name, fact] of facts) screen.line(`  ${name.padEnd(30)}${fact}`)
  if (outcome.broken.length === 0) screen.line(paint('green', 'Every promise held.'))
  for (const promise of outcome.broken) screen.line(paint('red', `Broken: ${promise}`))
}

function parse(argv: readonly string[]): DemoFlags {
  return new Command('hadr demo')
    .description(
      'Runs the whole system on this machine, kills a cluster and shows the main tag move. Takes about a minute.',
    )
    .addOption(
      new Option('--time-scale <factor>', 'multiplies every interval')
        .env('HADR_TIME_SCALE')
        .default(0.1)
        .argParser(toScale),
    )
    .addOption(new Option('--serve', 'keep everything running after the story').env('HADR_SERVE').default(false))
    .addOption(
      new Option('--fleet', 'tell another story: load rises and falls, and runner managers follow it')
        .env('HADR_FLEET')
        .default(false),
    )
    .addOption(new Option('--keep-files', 'keep logs and configurations').env('HADR_KEEP_FILES').default(false))
    .addOption(new Option('--no-color', 'plain text').env('HADR_NO_COLOR'))
    .version(VERSION)
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : EXIT_USAGE))
    .parse([...argv], { from: 'user' })
    .opts<DemoFlags>()
}

function toScale(text: string): number {
  const factor = Number(text)
  if (!(factor >= 0.02 && factor <= 1)) {
    process.stderr.write('--time-scale must be a number from 0.02 to 1\n')
    process.exit(EXIT_USAGE)
  }
  return factor
}
