import t from 'tap'
import { median, medianRatio, orderOfGrowth, percentile } from './statistics.ts'

t.test('a percentile is a value that was seen, by nearest rank', t => {
  const values = Float64Array.from({ length: 200 }, (_, index) => index + 1)
  t.equal(percentile(values, 0.5), 100)
  t.equal(percentile(values, 0.99), 198)
  t.equal(percentile(values, 1), 200)
  t.equal(percentile(values, 0), 1)
  t.equal(percentile([7], 0.999), 7)
  t.same(percentile([], 0.5), NaN)
  t.end()
})

t.test('a median does not care for the order, and leaves the values as they are', t => {
  const values = [9, 1, 5]
  t.equal(median(values), 5)
  t.same(values, [9, 1, 5])
  t.end()
})

t.test('a ratio is taken within each round, so that a machine that slows down is not in it', t => {
  t.equal(medianRatio([80, 40, 20], [100, 50, 25]), 0.8)
  t.equal(medianRatio([80], [100, 50, 25]), 0.8, 'one that had fewer turns is compared in those')
  t.equal(medianRatio([80, 40, 20], [100]), 0.8)
  t.end()
})

t.test('the order of growth is the exponent of the power law', t => {
  const points = (order: number) => [1, 10, 100].map(size => [size, 3 * size ** order] as const)
  for (const order of [0, 0.5, 1, 2]) t.ok(Math.abs(orderOfGrowth(points(order)) - order) < 1e-9, String(order))
  t.same(orderOfGrowth([[1, 1]]), NaN)
  t.end()
})
