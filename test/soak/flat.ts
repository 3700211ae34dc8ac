import { median } from '../bench/statistics.ts'

/** How much a quantity may be higher at the end and still count as flat. */
export interface Tolerance {
  /** Of its value before. */
  share: number
  absolute: number
}

export interface Verdict {
  flat: boolean
  /** Medians of the second and of the last third. */
  before: number
  after: number
}

/**
 * Whether a quantity has stopped growing. The first third of the samples is for warming up; the median of the last is
 * compared with that of the second, so that neither single peaks nor the teeth of a garbage collector count, while a leak
 * however slow counts as soon as it is more than the tolerance in a third of the time. Too few samples are not flat.
 */
export function judge(samples: readonly number[], { share, absolute }: Tolerance): Verdict {
  const third = Math.floor(samples.length / 3)
  const before = median(samples.slice(samples.length - 2 * third, samples.length - third))
  const after = median(samples.slice(samples.length - third))
  return { flat: third > 0 && after <= before * (1 + share) + absolute, before, after }
}

const BARS = '▁▂▃▄▅▆▇█'

/** A series as one line of bars between its least and its greatest value, at most `width` of them. */
export function sparkline(samples: readonly number[], width: number): string {
  const step = Math.max(1, samples.length / width)
  const picked = Array.from(
    { length: Math.min(width, samples.length) },
    (_, index) => samples[Math.floor(index * step)] ?? 0,
  )
  const [least, greatest] = [Math.min(...picked), Math.max(...picked)]
  const heights = BARS.length - 1
  return picked
    .map(value => BARS[greatest === least ? 0 : Math.round(((value - least) / (greatest - least)) * heights)] ?? '')
    .join('')
}
