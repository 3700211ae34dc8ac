import t from 'tap'
import { createRandom } from '../support/random.ts'
import { judge, sparkline } from './flat.ts'

const TOLERANCE = { share: 0.05, absolute: 2 }
const series = (length: number, value: (index: number) => number) => Array.from({ length }, (_, index) => value(index))

t.test('a process that grows at first and then stays is flat', t => {
  const warm = series(90, index => 60 + 20 * Math.min(1, index / 25))
  t.match(judge(warm, TOLERANCE), { flat: true, before: 80, after: 80 })
  t.end()
})

t.test('the teeth of a garbage collector, noise and single peaks are no growth', t => {
  const random = createRandom(7)
  const teeth = series(300, index => 60 + (index % 17) + 3 * random() + (index % 97 === 0 ? 200 : 0))
  t.match(judge(teeth, TOLERANCE), { flat: true })
  t.end()
})

t.test('a leak is found under the same teeth', t => {
  const random = createRandom(7)
  const leak = series(300, index => 60 + (index % 17) + 3 * random() + index / 10)
  t.match(judge(leak, TOLERANCE), { flat: false })
  t.end()
})

t.test('a leak that begins late is found', t => {
  t.match(
    judge(
      series(90, index => (index < 70 ? 50 : 50 + 2 * (index - 70))),
      TOLERANCE,
    ),
    { flat: false },
  )
  t.end()
})

t.test('what shrinks is flat, and exactly the tolerance is, too', t => {
  t.match(judge([9, 9, 9, 9, 1, 1], { share: 0, absolute: 0 }), { flat: true })
  t.match(judge([0, 0, 100, 100, 107, 107], TOLERANCE), { flat: true })
  t.match(judge([0, 0, 100, 100, 107.1, 107.1], TOLERANCE), { flat: false })
  t.end()
})

t.test('fewer than three samples prove nothing', t => {
  t.match(judge([], TOLERANCE), { flat: false })
  t.match(judge([1, 1], TOLERANCE), { flat: false })
  t.end()
})

t.test('a sparkline goes from the least to the greatest value', t => {
  t.equal(sparkline([0, 7, 3.5], 10), '▁█▅')
  t.equal(sparkline([5, 5], 10), '▁▁')
  t.equal(
    sparkline(
      series(100, index => index),
      8,
    ),
    '▁▂▃▄▅▆▇█',
  )
  t.equal(sparkline([], 8), '')
  t.end()
})
