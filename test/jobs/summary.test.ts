import fc from 'fast-check'
import t from 'tap'
import type { JobPoint } from '../../decider/jobs/document.ts'
import { type Summary, summarize } from '../../decider/jobs/summary.ts'

const STEP = 10

/** Values on the grid; `null` is a sample that is missing. */
function of(values: readonly (number | null)[], { integrate = true, length = values.length } = {}): Summary {
  const points = values.flatMap((value, index): JobPoint[] => (value === null ? [] : [[1000 + index * STEP, value]]))
  const window = { startSeconds: 1000, endSeconds: 1000 + (length - 1) * STEP, stepSeconds: STEP }
  return summarize(points, { window, integrate })
}

t.test('fewer than two samples are insufficient and never zeros', t => {
  t.strictSame(of([], { length: 4 }), {
    kind: 'insufficient',
    samples: 0,
    coverage: 0,
    warnings: ['no sample of 4: too few to tell anything'],
  })
  t.match(of([7], { length: 4 }), { kind: 'insufficient', samples: 1, coverage: 0.25, warnings: [/one sample of 4/] })
  t.notOk('max' in of([7]))
  t.end()
})

t.test('a whole series is told by its extremes, its mean, its 95th percentile and its area', t => {
  t.strictSame(of([0, 2, 4, 2, 0]), {
    kind: 'sufficient',
    samples: 5,
    coverage: 1,
    min: 0,
    max: 4,
    maxAtSeconds: 1020,
    mean: 1.6,
    p95: 4,
    integral: 80,
    warnings: [],
  })
  t.notOk('integral' in of([1, 2], { integrate: false }))
  const hundred = of(Array.from({ length: 100 }, (_, index) => index + 1))
  t.match(hundred, { p95: 95 })
  t.end()
})

t.test('a gap adds nothing to the area and is told, as is poor coverage', t => {
  t.match(of([1, 1, null, null, 1, 1]), { integral: 20, coverage: 4 / 6, warnings: ['1 gap between samples'] })
  t.match(of([1, 1], { length: 10 }), { coverage: 0.2, warnings: ['only 2 of 10 samples'] })
  t.end()
})

const values = fc.array(fc.oneof(fc.double({ noNaN: true, min: -1e12, max: 1e12 }), fc.constant(null)), {
  minLength: 1,
  maxLength: 60,
})
const near = (a: number, b: number, scale: number) => Math.abs(a - b) <= 1e-9 * Math.max(1, scale)

t.test('whatever the values, a summary stays within them', t => {
  fc.assert(
    fc.property(values, given => {
      const summary = of(given)
      const known = given.filter(value => value !== null)
      if (known.length < 2) return summary.kind === 'insufficient' && summary.samples === known.length
      if (summary.kind !== 'sufficient') return false
      const { min, max, mean, p95, coverage, maxAtSeconds, integral = Number.NaN } = summary
      const seconds = (given.length - 1) * STEP
      return (
        min === Math.min(...known) &&
        max === Math.max(...known) &&
        given[(maxAtSeconds - 1000) / STEP] === max &&
        mean >= min &&
        mean <= max &&
        known.includes(p95) &&
        known.filter(value => value <= p95).length >= 0.95 * known.length &&
        coverage > 0 &&
        coverage <= 1 &&
        integral <= Math.max(0, max) * seconds * (1 + 1e-9) &&
        integral >= Math.min(0, min) * seconds * (1 + 1e-9)
      )
    }),
  )
  t.end()
})

t.test('doubled values give a doubled summary, and a constant is its own everything', t => {
  fc.assert(
    fc.property(values, given => {
      const one = of(given)
      const two = of(given.map(value => (value === null ? null : 2 * value)))
      if (one.kind === 'insufficient' || two.kind === 'insufficient') return one.kind === two.kind
      const scale = Math.max(Math.abs(one.max), Math.abs(one.min)) * given.length * STEP
      return (
        two.max === 2 * one.max &&
        two.p95 === 2 * one.p95 &&
        near(two.mean, 2 * one.mean, scale) &&
        near(two.integral ?? 0, 2 * (one.integral ?? 1), scale)
      )
    }),
  )
  fc.assert(
    fc.property(fc.integer({ min: -1000, max: 1000 }), fc.integer({ min: 2, max: 50 }), (value, length) => {
      const summary = of(Array.from({ length }, () => value))
      return (
        summary.kind === 'sufficient' &&
        summary.min === value &&
        summary.mean === value &&
        summary.p95 === value &&
        near(summary.integral ?? 0, value * (length - 1) * STEP, 1e6)
      )
    }),
  )
  t.end()
})
