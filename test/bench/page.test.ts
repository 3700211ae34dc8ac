import t from 'tap'
import { figuresTable, fill, markdownTable } from './page.ts'
import { plotSvg } from './plot.ts'
import type { PartRecord } from './record.ts'

const record: PartRecord = {
  figures: [
    { what: 'speed', measured: '5/s', beside: '0.9 × floor', target: '≥ 0.8', reached: true },
    { what: 'size', measured: '9 MiB', target: '≤ 8 MiB', reached: false },
    { what: 'cost', measured: '1 s' },
    { what: 'wait', measured: '2 s', target: '≤ 1 s', reached: false, cause: 'a slow disk' },
  ],
  tables: [{ title: 'More', head: ['a', 'b'], rows: [['1', '2']] }],
  plots: [{ name: 'growth', title: 'Growth', x: 'size', y: 'ms', lines: [] }],
  machine: { processor: 'Some CPU', cores: 2, memoryGiB: 8, node: 'v20.19.0' },
  quick: false,
}
const page = (inside: string) => `# Head\n\n<!-- measured: webhook -->${inside}<!-- end of webhook -->\n\nTail\n`

t.test('a figure says whether it was reached, and one without a target says nothing', t => {
  const [, , ...rows] = figuresTable(record.figures).split('\n')
  t.match(rows[0], /\| speed +\| 5\/s .*\| yes +\|$/)
  t.match(rows[1], /\| \*\*no\*\* +\|$/)
  t.match(rows[2], /\| cost +\| 1 s +\| +\| +\| +\|$/)
  t.match(rows[3], /\| \*\*no\*\*: a slow disk \|$/)
  t.end()
})

t.test('columns are as wide as their widest cell, and a missing cell is empty', t => {
  t.equal(markdownTable({ head: ['a', 'bb'], rows: [['ccc']] }), '| a   | bb |\n| --- | -- |\n| ccc |    |')
  t.end()
})

t.test('a section takes the place of the old one; the text of people stays', t => {
  const filled = fill(page('\nold figures\n'), { webhook: record })
  t.match(filled, /^# Head\n/)
  t.match(filled, /\nTail\n$/)
  t.notMatch(filled, /old figures/)
  t.match(filled, /Some CPU, 2 cores, 8 GiB, Node v20\.19\.0\./)
  t.match(filled, /!\[Growth\]\(benchmarks\/growth\.svg\)/)
  t.equal(fill(filled, { webhook: record }), filled, 'filling it again changes nothing')
  t.end()
})

t.test('parts that were not measured stay as they are, and quick figures are marked', t => {
  t.equal(fill(page('\nold\n'), {}), page('\nold\n'))
  t.match(fill(page(''), { webhook: { ...record, quick: true } }), /A quick run/)
  t.end()
})

t.test('a page without a place for a section is refused', t => {
  t.throws(() => fill('# Head\n', { webhook: record }), /<!-- measured: webhook -->/)
  t.end()
})

t.test('a plot has a place for every point, on logarithmic axes, and escapes its texts', t => {
  const svg = plotSvg({
    name: 'p',
    title: 'a < b',
    x: 'size',
    y: 'ms',
    lines: [
      { name: 'ours & theirs', points: [[1, 10], [10, 100], [100, 1000]] }, // prettier-ignore
      { name: 'nothing', points: [[0, 5], [5, -1]] }, // prettier-ignore
    ],
  })
  t.match(svg, /<title>a &lt; b<\/title>/)
  t.match(svg, /ours &amp; theirs/)
  const circles = [...svg.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) => [Number(x), Number(y)])
  t.equal(circles.length, 3, 'what is not above zero has no place on a logarithmic axis')
  const [[x1, y1] = [], [x2, y2] = [], [x3, y3] = []] = circles
  t.ok(Math.abs(((x1 ?? 0) + (x3 ?? 0)) / 2 - (x2 ?? 0)) < 0.2, 'equal factors are equally far apart')
  t.ok(Math.abs(((y1 ?? 0) + (y3 ?? 0)) / 2 - (y2 ?? 0)) < 0.2)
  t.notMatch(svg, /NaN|Infinity|undefined/)
  t.end()
})

t.test('a plot of nothing, of one point and of a constant is a picture all the same', t => {
  for (const points of [
    [],
    [[5, 5]],
    [
      [1, 7],
      [100, 7],
    ],
  ] as [number, number][][])
    // prettier-ignore
    t.notMatch(plotSvg({ name: 'p', title: 't', x: 'x', y: 'y', lines: [{ name: 'l', points }] }), /NaN|Infinity/)
  t.end()
})
