import { runTasks } from '../workers.ts'
import { decideTimeMs } from './decide-time.ts'
import { HAND_OVERS_PER_PART, SIZES } from './measures.ts'
import { residentMemoryMiB } from './resident-memory.ts'

export interface Figure {
  what: string
  profile: string
  target: string
  measured: string
  reached: boolean
}

export interface FigureOptions {
  handOvers: number
  /** Cluster deaths per profile. */
  deaths: number
  workers?: number
  onProgress(what: string): void
}

const PROFILES = ['balanced', 'fast'] as const
const DEATH_TARGETS = { balanced: [70, 90, 120], fast: [42, 55, 80] } as const
const CALL_TARGETS = { balanced: 560, fast: 1000 } as const
const DISTURBANCES = {
  'gitlab outage': { what: 'switches caused by GitLab outages of 10 s to 24 h', parts: 24 },
  'prometheus outage': { what: 'switches caused by Prometheus failing for up to 10 min', parts: 60 },
  'rolling restart': { what: 'switches caused by rolling restarts of runners and deciders', parts: 24 },
} as const

/** Measures everything that the project promises as a number. */
export async function measureFigures(options: FigureOptions): Promise<Figure[]> {
  const measure = async (name: string, parts: number, first = 1): Promise<number[][]> => {
    options.onProgress(`${name}: ${parts} runs`)
    const values: number[][] = []
    const tasks = Array.from({ length: parts }, (_, index) => ({ kind: 'figure' as const, name, part: first + index }))
    await runTasks(
      tasks,
      (task, result) => {
        if (task.kind === 'figure' && result.kind === 'figure') values[task.part - first] = [...result.values]
      },
      options.workers === undefined ? {} : { workers: options.workers },
    )
    return values
  }
  const figures: Figure[] = []
  for (const profile of PROFILES) {
    const seconds = (await measure(`death ${profile}`, options.deaths)).flat().sort((a, b) => a - b)
    const measured = [percentile(seconds, 0.5), percentile(seconds, 0.95), seconds.at(-1) ?? NaN]
    figures.push({
      what: `cluster death to tag moved, p50 / p95 / max of ${seconds.length}`,
      profile,
      target: `≤ ${DEATH_TARGETS[profile].join(' / ')} s`,
      measured: `${measured.map(value => value.toFixed(0)).join(' / ')} s`,
      reached: measured.every((value, index) => value <= (DEATH_TARGETS[profile][index] ?? 0)),
    })
  }
  for (const profile of PROFILES) {
    const parts = Math.max(1, Math.ceil(options.handOvers / 2 / HAND_OVERS_PER_PART))
    const results = await measure(`hand-overs ${profile}`, parts)
    const total = sum(results, 0)
    const gaps = sum(results, 1)
    figures.push({
      what: `self-inflicted gaps in ${total} hand-overs, GitLab healthy`,
      profile,
      target: '0',
      measured: String(gaps),
      reached: gaps === 0,
    })
  }
  for (const [name, { what, parts }] of Object.entries(DISTURBANCES)) {
    const switches = sum(await measure(name, parts), 0)
    figures.push({
      what: `${what} (${parts} runs)`,
      profile: 'both',
      target: '0',
      measured: String(switches),
      reached: switches === 0,
    })
  }
  for (const profile of PROFILES) {
    const [[calls = NaN, writes = NaN] = []] = await measure(`quiet day ${profile}`, 1)
    const target = CALL_TARGETS[profile]
    figures.push({
      what: 'GitLab calls per hour and decider in a quiet day; tag writes in it',
      profile,
      target: `≤ ${target}; 0`,
      measured: `${calls.toFixed(0)}; ${writes}`,
      reached: calls <= target && writes === 0,
    })
    for (const kind of ['', ' over REST']) {
      const bySize = (await measure(`calls ${profile}${kind}`, SIZES.length, 0)).map(([each = NaN]) => each.toFixed(0))
      figures.push({
        what: `the same with ${SIZES.join(', ')} runners in each of two clusters${kind === '' ? ', GraphQL' : ', REST'}`,
        profile,
        target: kind === '' ? `≤ ${target} up to 50` : 'stated',
        measured: bySize.join(', '),
        reached: kind !== '' || bySize.slice(0, 3).every(each => Number(each) <= target),
      })
    }
  }
  options.onProgress('decide')
  const decideMs = decideTimeMs()
  figures.push({
    what: 'decide for 50 clusters × 1,000 runners, median',
    profile: 'both',
    target: '< 20 ms',
    measured: `${decideMs.toFixed(1)} ms`,
    reached: decideMs < 20,
  })
  options.onProgress('memory of a real decider')
  const memory = await residentMemoryMiB()
  figures.push({
    what: 'resident memory of a decider, highest',
    profile: 'both',
    target: '< 130 MiB',
    measured: memory === undefined ? 'not measured: no /proc' : `${memory.toFixed(0)} MiB`,
    reached: memory !== undefined && memory < 130,
  })
  return figures
}

/** The figures as a Markdown table. */
export function formatFigures(figures: readonly Figure[]): string {
  const rows = figures.map(({ what, profile, target, measured, reached }) => [
    what,
    profile,
    target,
    measured,
    reached ? 'yes' : '**not reached**',
  ])
  const all = [['what', 'profile', 'target', 'measured', 'reached'], ...rows]
  const widths = (all[0] ?? []).map((_, column) => Math.max(...all.map(row => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  const [head = [], ...body] = all
  return [line(head), line(widths.map(width => '-'.repeat(width))), ...body.map(line)].join('\n')
}

export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? NaN
}

function sum(results: readonly number[][], column: number): number {
  return results.reduce((total, row) => total + (row[column] ?? 0), 0)
}
