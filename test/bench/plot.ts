import type { Plot } from './record.ts'

const [WIDTH, HEIGHT] = [720, 360]
const MARGIN = { left: 76, right: 150, top: 40, bottom: 52 }
/** Distinguishable without seeing colours well (Okabe and Ito); the dashes tell them apart in print. */
const STROKES = [
  { colour: '#0072b2', dash: 'none' },
  { colour: '#d55e00', dash: '7 3' },
  { colour: '#009e73', dash: '2 3' },
  { colour: '#cc79a7', dash: '9 3 2 3' },
] as const

interface Axis {
  ticks: readonly number[]
  /** From 0 to 1 along the axis. */
  at(value: number): number
}

/**
 * A line chart as SVG, both axes logarithmic, so that the slope of a line is its order of growth. Readable on light and
 * dark pages: it brings its own background. Points that are not above zero have no place and are left out.
 */
export function plotSvg({ title, x, y, lines }: Plot): string {
  const drawn = lines.map(({ name, points }) => ({ name, points: points.filter(([a, b]) => a > 0 && b > 0) }))
  const all = drawn.flatMap(({ points }) => points)
  const across = axisOf(all.map(([value]) => value))
  const up = axisOf(all.map(([, value]) => value))
  const [width, height] = [WIDTH - MARGIN.left - MARGIN.right, HEIGHT - MARGIN.top - MARGIN.bottom]
  const px = (value: number) => round(MARGIN.left + across.at(value) * width)
  const py = (value: number) => round(MARGIN.top + (1 - up.at(value)) * height)
  const [bottom, right] = [MARGIN.top + height, MARGIN.left + width]

  const grid = [
    ...across.ticks.flatMap(tick => [
      `<line class="grid" x1="${px(tick)}" y1="${MARGIN.top}" x2="${px(tick)}" y2="${bottom}"/>`,
      text(px(tick), bottom + 18, short(tick), 'middle'),
    ]),
    ...up.ticks.flatMap(tick => [
      `<line class="grid" x1="${MARGIN.left}" y1="${py(tick)}" x2="${right}" y2="${py(tick)}"/>`,
      text(MARGIN.left - 8, py(tick) + 4, short(tick), 'end'),
    ]),
  ]
  const curves = drawn.flatMap(({ name, points }, index) => {
    const { colour, dash } = STROKES[index % STROKES.length] ?? STROKES[0]
    const path = points.map(([a, b]) => `${px(a)},${py(b)}`).join(' ')
    const legend = MARGIN.top + 14 + 20 * index
    return [
      `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2" stroke-dasharray="${dash}"/>`,
      ...points.map(([a, b]) => `<circle cx="${px(a)}" cy="${py(b)}" r="3" fill="${colour}"/>`),
      `<line x1="${right + 12}" y1="${legend - 4}" x2="${right + 36}" y2="${legend - 4}" stroke="${colour}" stroke-width="2" stroke-dasharray="${dash}"/>`,
      text(right + 42, legend, name, 'start'),
    ]
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img">`,
    `<title>${escape(title)}</title>`,
    '<style>text{font:12px sans-serif;fill:#222}.grid{stroke:#ddd}.title{font-size:15px;font-weight:bold}</style>',
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text class="title" x="${MARGIN.left}" y="24">${escape(title)}</text>`,
    ...grid,
    ...curves,
    text(MARGIN.left + width / 2, HEIGHT - 12, x, 'middle'),
    `<text transform="rotate(-90 16 ${MARGIN.top + height / 2})" x="16" y="${MARGIN.top + height / 2}" text-anchor="middle">${escape(y)}</text>`,
    '</svg>',
    '',
  ].join('\n')
}

/** Logarithmic from the 1, 2 or 5 times a power of ten below the least value to the one above the greatest. */
function axisOf(values: readonly number[]): Axis {
  const least = Math.min(...values, Infinity)
  const greatest = Math.max(...values, -Infinity)
  if (!Number.isFinite(least)) return { ticks: [], at: () => 0 }
  const steps = decades(least, greatest)
  const low = steps.findLast(step => step <= least) ?? least
  const high = steps.find(step => step >= greatest && step > low) ?? greatest
  const within = steps.filter(step => step >= low && step <= high)
  const ticks = within.length <= 8 ? within : within.filter(step => Number.isInteger(round(Math.log10(step))))
  return { ticks, at: value => Math.log(value / low) / Math.log(high / low) }
}

function decades(least: number, greatest: number): number[] {
  const [first, last] = [Math.floor(Math.log10(least)), Math.ceil(Math.log10(greatest)) + 1]
  const powers = Array.from({ length: last - first + 1 }, (_, index) => first + index)
  return powers.flatMap(power => [1, 2, 5].map(digit => Number(`${digit}e${power}`)))
}

function short(value: number): string {
  if (value >= 1e6) return `${value / 1e6}M`
  return value >= 1e3 ? `${value / 1e3}k` : String(value)
}

function text(x: number, y: number, content: string, anchor: 'start' | 'middle' | 'end'): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}">${escape(content)}</text>`
}

function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
