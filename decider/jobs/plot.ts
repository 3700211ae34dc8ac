import type { JobMetrics, JobPoint, QueryResult } from './document.ts'
import { markup, type Markup } from './markup.ts'

/** One per series, over again when there are more; told apart in both colour schemes. */
export const STROKES = ['#1f75cb', '#c4600a', '#108548', '#a72db5', '#7c6f00', '#d12c5b', '#0a7d8c', '#6b6a72'] as const

const WIDTH = 900
const HEIGHT = 220
const LEFT = 8
const TOP = 18
const BOTTOM = 20

/** Which limit of the pod bounds the series of a built-in query. */
const LIMITS = { cpu: 'cpuCores', memory: 'memoryBytes' } as const

/** The series over the time of the job, from zero; a gap stays a gap. */
export function plotOf(query: QueryResult, { window, containers }: JobMetrics): Markup {
  const startSeconds = Date.parse(window.start) / 1000
  const endSeconds = Math.max(Date.parse(window.end) / 1000, startSeconds + window.stepSeconds)
  const values = query.series.flatMap(({ points }) => points.map(([, value]) => value))
  const top = values.reduce((most, value) => Math.max(most, value), 0) || 1
  const bottom = values.reduce((least, value) => Math.min(least, value), 0)
  const x = (seconds: number) => LEFT + ((seconds - startSeconds) / (endSeconds - startSeconds)) * (WIDTH - 2 * LEFT)
  const y = (value: number) => HEIGHT - BOTTOM - ((value - bottom) / (top - bottom)) * (HEIGHT - TOP - BOTTOM)
  const at = ([seconds, value]: JobPoint) => `${x(seconds).toFixed(1)},${y(value).toFixed(1)}`

  const lines = query.series.flatMap(({ points }, index) =>
    unbroken(points, window.stepSeconds).map(
      run => markup`<polyline class="s${index % STROKES.length}" points="${run.map(at).join(' ')}"/>`,
    ),
  )
  const kind = query.name === 'cpu' || query.name === 'memory' ? LIMITS[query.name] : undefined
  const limits = containers
    .map(({ limits: amounts }) => (kind === undefined ? undefined : amounts[kind]))
    .filter(limit => limit !== undefined && limit <= top)
  const limitLines = [...new Set(limits)].map(
    (limit = 0) => markup`<line class="limit" x1="${LEFT}" x2="${WIDTH - LEFT}" y1="${y(limit)}" y2="${y(limit)}"/>`,
  )
  const label = `${query.name} over ${Math.round(endSeconds - startSeconds)} s, at most ${shown(top)}`
  return markup`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${label}">
<line class="axis" x1="${LEFT}" x2="${WIDTH - LEFT}" y1="${y(0)}" y2="${y(0)}"/>${limitLines}${lines}
<text x="${LEFT}" y="12">${shown(top)}</text><text x="${LEFT}" y="${HEIGHT - 4}">0 s</text>
<text x="${WIDTH - LEFT}" y="${HEIGHT - 4}" text-anchor="end">${Math.round(endSeconds - startSeconds)} s</text></svg>`
}

function unbroken(points: readonly JobPoint[], stepSeconds: number): JobPoint[][] {
  const runs: JobPoint[][] = []
  for (const point of points) {
    const last = runs.at(-1)?.at(-1)
    if (last && point[0] - last[0] <= 1.5 * stepSeconds) runs.at(-1)?.push(point)
    else runs.push([point])
  }
  return runs
}

/** Three digits with the prefix that people use. */
export function shown(value: number | undefined): string {
  if (value === undefined) return '–'
  const [factor, prefix] = PREFIXES.find(([least]) => Math.abs(value) >= least) ?? [1, '']
  return `${Number((value / factor).toPrecision(3))}${prefix}`
}

const PREFIXES: readonly (readonly [number, string])[] = [
  [1e12, ' T'],
  [1e9, ' G'],
  [1e6, ' M'],
  [1e3, ' k'],
]
