import { PROFILES } from '../../../decider/timing.ts'
import { decideTimeMs } from '../../simulation/figures/decide-time.ts'
import type { PartOptions } from '../options.ts'
import type { Figure, Findings, Plot, Table } from '../record.ts'
import { measureDeath } from './death.ts'
import { observeDecider, type Rest } from './lone.ts'
import { measureSwitches, type Switch } from './switching.ts'

const DECIDE_MS = 20
/** Of `npm run simulate`, which measures the whole distribution on virtual time. */
const DEATH_SECONDS = { gentle: 170, balanced: 120, fast: 80 } as const
const CALLS_PER_HOUR = 560
const FIRST_SECONDS = 1
const ALL_SECONDS = 40
/** Runners per cluster; the target of calls holds for the first. */
const FLEETS = [50, 1000] as const

interface DecideTime {
  clusters: number
  runners: number
  ms: number
}

export async function measureDecider(options: PartOptions): Promise<Findings> {
  const { say, durations } = options
  const decides = [1, 10, 50].flatMap(clusters =>
    [10, 100, 1000].map((runners): DecideTime => ({ clusters, runners, ms: decideTimeMs({ clusters, runners }) })),
  )
  say(`decide, 50 clusters of 1,000 runners: ${decides.at(-1)?.ms.toFixed(1) ?? '?'} ms`)
  const minutes = durations.timeScale === 1 ? 20 : 4
  const rests: Rest[] = []
  for (const runners of FLEETS) {
    const rest = await observeDecider(runners, minutes, options)
    rests.push(rest)
    say(`${runners} runners: cycle ${rest.cycleMs.toFixed(0)} ms, ${rest.callsPerHour.toFixed(0)} calls an hour`)
  }
  const switches = await measureSwitches()
  for (const each of switches) say(`switch of ${each.what}: ${each.allSeconds.toFixed(1)} s`)
  say(`cluster deaths in real time${durations.timeScale === 1 ? ', about six minutes' : ', ten times as fast'}`)
  const deaths = await Promise.all(
    PROFILES.map(async profile => ({ profile, seconds: await measureDeath(profile, options) })),
  )
  return {
    figures: [
      ...decides.slice(-1).map(decideFigure),
      ...rests.slice(0, 1).map(restFigure),
      ...switches.flatMap(switchFigures),
      ...deaths.map(({ profile, seconds }) => ({
        what: `decider: death of a cluster to moved tag, ${profile}, one run${durations.timeScale === 1 ? '' : ' at ten times the speed'}`,
        measured: `${seconds.toFixed(0)} s`,
        target: `≤ ${DEATH_SECONDS[profile]} s`,
        reached: seconds <= DEATH_SECONDS[profile],
        cause: 'before a cluster counts as dead its runners have 40 s to answer',
      })),
    ],
    tables: [decideTable(decides), restTable(rests)],
    plots: [decidePlot(decides)],
  }
}

function decideFigure({ clusters, runners, ms }: DecideTime): Figure {
  return {
    what: `decider: decide for ${clusters} clusters × ${runners.toLocaleString('en')} runners`,
    measured: `${ms.toFixed(1)} ms`,
    target: `< ${DECIDE_MS} ms`,
    reached: ms < DECIDE_MS,
  }
}

function restFigure({ runners, callsPerHour, bytesPerHour }: Rest): Figure {
  return {
    what: `decider: GitLab calls per hour at rest, ${runners} runners, balanced`,
    measured: `${callsPerHour.toFixed(0)} (${(bytesPerHour / 2 ** 20).toFixed(1)} MiB)`,
    target: `≤ ${CALLS_PER_HOUR}`,
    reached: callsPerHour <= CALLS_PER_HOUR,
  }
}

function switchFigures({ what, firstSeconds, allSeconds, refused }: Switch): Figure[] {
  return [
    {
      what: `decider: switch of ${what}, decision to first runner tagged`,
      measured: `${firstSeconds.toFixed(2)} s`,
      target: `< ${FIRST_SECONDS} s`,
      reached: firstSeconds < FIRST_SECONDS,
    },
    {
      what: `decider: the same to the last tag written; requests refused by a limit of 10/s`,
      measured: `${allSeconds.toFixed(1)} s; ${refused}`,
      target: `≤ ${ALL_SECONDS} s; 0`,
      reached: allSeconds <= ALL_SECONDS && refused === 0,
    },
  ]
}

function decideTable(decides: readonly DecideTime[]): Table {
  const runners = [...new Set(decides.map(each => each.runners))]
  const clusters = [...new Set(decides.map(each => each.clusters))]
  return {
    title: '`decide` in milliseconds of processor time, by clusters and runners of each',
    head: ['clusters', ...runners.map(count => `${count.toLocaleString('en')} runners`)],
    rows: clusters.map(count => [
      String(count),
      ...runners.map(
        size => decides.find(each => each.clusters === count && each.runners === size)?.ms.toFixed(2) ?? '-',
      ),
    ]),
  }
}

function restTable(rests: readonly Rest[]): Table {
  return {
    title: 'A decider at rest, as a process against the simulated GitLab',
    head: ['runners', 'cycle', 'calls per hour', 'MiB per hour', 'resident / anonymous MiB'],
    rows: rests.map(({ runners, cycleMs, callsPerHour, bytesPerHour, memory }) => [
      String(runners),
      `${cycleMs.toFixed(0)} ms`,
      callsPerHour.toFixed(0),
      (bytesPerHour / 2 ** 20).toFixed(1),
      `${memory.residentMiB.toFixed(0)} / ${memory.anonymousMiB.toFixed(0)}`,
    ]),
  }
}

function decidePlot(decides: readonly DecideTime[]): Plot {
  return {
    name: 'decider-decide',
    title: 'One decision',
    x: 'runners of each cluster',
    y: 'milliseconds',
    lines: [...new Set(decides.map(({ clusters }) => clusters))].map(clusters => ({
      name: `${clusters} ${clusters === 1 ? 'cluster' : 'clusters'}`,
      points: decides.filter(each => each.clusters === clusters).map(({ runners, ms }) => [runners, ms] as const),
    })),
  }
}
