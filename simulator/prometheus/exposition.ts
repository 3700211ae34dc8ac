export interface ScrapedSample {
  name: string
  labels: Readonly<Record<string, string>>
  value: number
}

/** Reads Prometheus's text format. Throws an Error at the first line that is none: Prometheus drops the whole scrape then. */
export function readExposition(text: string): ScrapedSample[] {
  return text.split('\n').flatMap(line => (/^\s*(#|$)/.test(line) ? [] : [readLine(line)]))
}

const LABEL = String.raw`\s*([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*`
const LINE = new RegExp(
  String.raw`^\s*([a-zA-Z_:][\w:]*)\s*(?:\{((?:${LABEL}(?:,|(?=\})))*\s*)\})?\s+(?<raw>\S+)(?:\s+-?\d+)?\s*$`,
)

function readLine(line: string): ScrapedSample {
  const match = LINE.exec(line)
  const [, name, labels = ''] = match ?? []
  const value = readValue(match?.groups?.['raw'] ?? '')
  if (name === undefined || value === undefined) throw new Error(`not in the exposition format: ${line.slice(0, 100)}`)
  const pairs = [...labels.matchAll(new RegExp(LABEL, 'g'))].map(([, key = '', text = '']) => [key, unescape(text)])
  return { name, labels: Object.fromEntries(pairs) as Record<string, string>, value }
}

function unescape(text: string): string {
  return text.replace(/\\(.)/g, (_, letter: string) => (letter === 'n' ? '\n' : letter))
}

function readValue(raw: string): number | undefined {
  if (/^nan$/i.test(raw)) return NaN
  const infinity = /^([+-]?)inf$/i.exec(raw)
  if (infinity) return infinity[1] === '-' ? -Infinity : Infinity
  const value = Number(raw)
  return raw === '' || Number.isNaN(value) ? undefined : value
}
