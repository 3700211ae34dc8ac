import type { JobPoint } from './document.ts'

/** What a series comes to. Fewer than two samples say nothing about a job, and nothing is what is told then. */
export type Summary =
  | { kind: 'insufficient'; samples: number; coverage: number; warnings: readonly string[] }
  | {
      kind: 'sufficient'
      samples: number
      /** Samples that are there, of those that a job of this length should have: 0 to 1. */
      coverage: number
      min: number
      max: number
      /** Of the first maximum; seconds since 1970. */
      maxAtSeconds: number
      mean: number
      p95: number
      /** Value × seconds, where the series is a rate; gaps count as nothing. */
      integral?: number
      warnings: readonly string[]
    }

export interface SummaryOptions {
  /** Both ends are included. */
  window: { startSeconds: number; endSeconds: number; stepSeconds: number }
  integrate: boolean
}

/** Below this a reader is warned. */
const GOOD_COVERAGE = 0.5
/** Neighbours further apart than this many steps have a gap between them. */
const GAP_STEPS = 1.5

/** Points in time order, finite values. Pure. */
export function summarize(points: readonly JobPoint[], options: SummaryOptions): Summary {
  const { startSeconds, endSeconds, stepSeconds } = options.window
  const expected = Math.floor(Math.max(0, endSeconds - startSeconds) / stepSeconds) + 1
  const coverage = Math.min(1, points.length / expected)
  const samples = points.length
  const [first] = points
  if (samples < 2 || first === undefined) {
    const warnings = [`${samples === 0 ? 'no sample' : 'one sample'} of ${expected}: too few to tell anything`]
    return { kind: 'insufficient', samples, coverage, warnings }
  }

  let [maxAtSeconds, max] = first
  let [, min] = first
  let mean = 0
  for (const [index, [seconds, value]] of points.entries()) {
    if (value > max) [maxAtSeconds, max] = [seconds, value]
    min = Math.min(min, value)
    mean += (value - mean) / (index + 1)
  }
  const sorted = points.map(([, value]) => value).sort((a, b) => a - b)
  const { integral, gaps } = integrate(points, stepSeconds)
  const warnings = [
    ...(coverage < GOOD_COVERAGE ? [`only ${samples} of ${expected} samples`] : []),
    ...(gaps > 0 ? [`${gaps} gap${gaps === 1 ? '' : 's'} between samples`] : []),
  ]
  return {
    kind: 'sufficient',
    samples,
    coverage,
    min,
    max,
    maxAtSeconds,
    // Rounding must not carry it out of the range it lies in.
    mean: Math.min(max, Math.max(min, mean)),
    // Nearest rank: always one of the samples.
    p95: sorted[Math.ceil(0.95 * samples) - 1] ?? max,
    ...(options.integrate && { integral }),
    warnings,
  }
}

/** By trapezoids between neighbours. What was not seen is not made up: a gap adds nothing and is counted. */
function integrate(points: readonly JobPoint[], stepSeconds: number): { integral: number; gaps: number } {
  let integral = 0
  let gaps = 0
  for (const [index, [seconds, value]] of points.entries()) {
    const before = points[index - 1]
    if (!before) continue
    const width = seconds - before[0]
    if (width > GAP_STEPS * stepSeconds) gaps++
    else integral += (width * (value + before[1])) / 2
  }
  return { integral, gaps }
}
