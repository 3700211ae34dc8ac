/** One sample of a Prometheus text exposition (format 0.0.4). */
export interface Sample {
  name: string
  labels: Readonly<Record<string, string>>
  /** May be NaN or infinite, as the format allows; the reader decides what that means. */
  value: number
}

export type Exposition = { ok: true; samples: readonly Sample[] } | { ok: false; line: number; problem: string }

/** A runner exposes a few hundred of the series that are read here; more means that something else answers. */
const MAX_SAMPLES = 20_000
/** A series of a runner takes some 200 characters. */
const MAX_LINE_CHARS = 16_384

/**
 * Reads the samples of the families in `wanted` and passes over everything else without looking into it. Strict with
 * what it reads: one malformed line of a wanted family, or an end in mid-line, makes the whole answer worthless, because
 * half a list of counters would look like a restart. Never throws. The caller bounds the size of `text`.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function parseExposition(text: string, wanted: ReadonlySet<string>): Exposition {
  const samples: Sample[] = []
  let lineNumber = 0
  for (let start = 0; start < text.length;) {
    lineNumber += 1
    const end = text.indexOf('\n', start)
    if (end === -1) return { ok: false, line: lineNumber, problem: 'the text ends in the middle of a line' }
    const name = nameAt(text, start)
    if (name !== undefined && wanted.has(name)) {
      if (end - start > MAX_LINE_CHARS) return { ok: false, line: lineNumber, problem: `${name} has an endless line` }
      const sample = parseSample(name, text.slice(start, end).trim())
      if (typeof sample === 'string') return { ok: false, line: lineNumber, problem: sample }
      samples.push(sample)
      if (samples.length > MAX_SAMPLES) {
        return { ok: false, line: lineNumber, problem: `more than ${MAX_SAMPLES} samples` }
      }
    }
    start = end + 1
  }
  return { ok: true, samples }
}

const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y
const LABEL = /\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\\n]|\\.)*)"\s*/y
const VALUE_AND_TIME = /^\s+(\S+)(?:\s+[+-]?\d+)?$/
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/

function nameAt(text: string, start: number): string | undefined {
  NAME.lastIndex = start
  return NAME.exec(text)?.[0]
}

/** A string instead of a sample says what is wrong. */
function parseSample(name: string, line: string): Sample | string {
  let at = name.length + line.slice(name.length).search(/\S|$/)
  const labels: Record<string, string> = {}
  const labelled = line[at] === '{'
  if (labelled) {
    at += 1
    while (line[at] !== '}') {
      LABEL.lastIndex = at
      const match = LABEL.exec(line)
      if (match === null) return `the labels of ${name} are malformed`
      const [whole, label = '', value = ''] = match
      if (Object.hasOwn(labels, label)) return `${name} has the label ${label} twice`
      // A plain assignment to a label called __proto__ would change the object instead.
      Object.defineProperty(labels, label, { value: unescape(value), enumerable: true })
      at += whole.length
      if (line[at] === ',') at += 1
      else if (line[at] !== '}') return `the labels of ${name} are not separated`
    }
    at += 1
  }
  // The closing brace separates enough; a name without labels needs a blank after it.
  const match = VALUE_AND_TIME.exec(labelled ? ` ${line.slice(at)}` : line.slice(name.length))
  const value = match?.[1] === undefined ? undefined : parseValue(match[1])
  return value === undefined ? `the value of ${name} is malformed` : { name, labels, value }
}

function parseValue(text: string): number | undefined {
  if (NUMBER.test(text)) return Number(text)
  if (/^[+-]?inf(?:inity)?$/i.test(text)) return text.startsWith('-') ? -Infinity : Infinity
  return /^nan$/i.test(text) ? NaN : undefined
}

function unescape(value: string): string {
  return value.includes('\\')
    ? value.replace(/\\(.)/g, (whole, escaped: string) => ({ n: '\n', '\\': '\\', '"': '"' })[escaped] ?? whole)
    : value
}
