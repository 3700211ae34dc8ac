import { styleText } from 'node:util'
import type { PoolReport } from '../../decider/status/report.ts'
import type { Stage } from './stage.ts'
import { MAIN_TAG } from './stage-options.ts'
import type { Witness } from './witness.ts'

/** One cluster as the table shows it; undefined: nobody can tell. */
export interface Row {
  cluster: string
  alive: boolean
  holds: boolean
  state: string | undefined
  available: number | undefined
  runners: number
  score: number | undefined
  picked: number
  running: number
  /** Age of this cluster's heartbeat as another decider sees it. */
  heartbeatAgeSeconds: number | undefined
}

/** Puts together what GitLab holds and what the deciders say. */
export function rowsOf(
  stage: Stage,
  witness: Witness,
  reports: ReadonlyMap<string, PoolReport | undefined>,
  alive: ReadonlySet<string>,
): Row[] {
  const holders = witness.holders()
  const jobs = stage.gitlab.state.jobs()
  return stage.clusters.map(({ name }) => {
    const own = reports.get(name)
    const self = own?.clusters.find(cluster => cluster.name === name)
    const seen = [...reports.entries()]
      .filter(([other]) => other !== name)
      .map(([, report]) => report?.clusters.find(cluster => cluster.name === name))
      .find(view => view !== undefined)
    return {
      cluster: name,
      alive: alive.has(name),
      holds: holders.includes(name),
      state: own?.state,
      available: self?.available ?? undefined,
      runners: stage.members[name]?.length ?? 0,
      score: self?.score ?? seen?.score,
      picked: witness.picked(name),
      running: jobs.filter(
        job => job.status === 'running' && job.runnerId !== null && witness.clusterOf(job.runnerId) === name,
      ).length,
      heartbeatAgeSeconds: seen?.heartbeatAgeSeconds ?? undefined,
    }
  })
}

type Style = Parameters<typeof styleText>[0]
export type Paint = (style: Style, text: string) => string

/** Colours for a terminal that wants them. */
export function painter(colour: boolean): Paint {
  return colour ? (style, text) => styleText(style, text) : (_style, text) => text
}

const COLUMNS = ['cluster', 'main tag', 'pods available', 'strength', 'jobs picked', 'running', 'heartbeat', 'decider']

/** The table as lines, without trailing blanks. */
export function drawTable(rows: readonly Row[], paint: Paint): string[] {
  const dash = '–'
  const cells = rows.map(row => [
    row.cluster,
    row.holds ? `● ${MAIN_TAG}` : dash,
    row.alive ? (row.available === undefined ? 'unknown' : String(row.available)) : dash,
    row.score === undefined ? dash : String(row.score),
    String(row.picked),
    row.alive ? String(row.running) : dash,
    row.heartbeatAgeSeconds === undefined ? dash : `${row.heartbeatAgeSeconds.toFixed(1)} s ago`,
    row.alive ? (row.state ?? 'starting') : 'DEAD',
  ])
  const widths = COLUMNS.map((title, column) => Math.max(title.length, ...cells.map(line => line[column]?.length ?? 0)))
  const line = (texts: readonly string[]) => texts.map((text, column) => text.padEnd(widths[column] ?? 0)).join('  ')
  return [
    paint('dim', line(COLUMNS).trimEnd()),
    ...cells.map((texts, index) => {
      const row = rows[index]
      const style: Style = row?.alive ? (row.holds ? 'green' : 'reset') : 'red'
      return paint(style, line(texts).trimEnd())
    }),
  ]
}
