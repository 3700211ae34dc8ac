/** What Prometheus answered, read strictly: whatever is not clearly a result is told apart, and nothing becomes 0. */

export type Labels = Readonly<Record<string, string>>

export interface SampleValue {
  /** A finite number; undefined for `NaN`, `+Inf`, `-Inf`, a native histogram or anything unreadable: see `raw`. */
  value: number | undefined
  /** As Prometheus wrote it; `histogram` for a native histogram. */
  raw: string
}

export interface Point extends SampleValue {
  timestampMs: number
}

export interface Sample extends Point {
  labels: Labels
}

export interface Series {
  labels: Labels
  /** In time order, as answered. */
  points: readonly Point[]
}

/** Why there is no result. Each is "unknown" to a caller that decides something; the kinds are for people and alerts. */
export type QueryFailure =
  /** Prometheus understood and refused (400, 422): the query or its parameters are wrong, repeating cannot help. */
  | { kind: 'bad_query'; message: string; status: number }
  /** No answer in time, no connection, or a status that says "not now" or "not here". */
  | { kind: 'unavailable'; message: string; status?: number }
  /** Something answered that is not Prometheus's API, or with a type of result that the query cannot be meant to have. */
  | { kind: 'invalid_answer'; message: string; status?: number }

export type InstantResult =
  /** `evaluatedAtMs` is Prometheus's clock: subtract a `timestamp()` sample's value × 1000 from it to get an age. */
  | { kind: 'complete'; samples: readonly Sample[]; evaluatedAtMs: number }
  /** Some of the data is missing (`warnings`); `samples` may be empty, and then the time of evaluation is not known. */
  | { kind: 'partial'; samples: readonly Sample[]; evaluatedAtMs: number | undefined; warnings: readonly string[] }
  /** Success with no series: says nothing about why. */
  | { kind: 'empty' }
  | QueryFailure

export type RangeResult =
  | { kind: 'complete'; series: readonly Series[] }
  | { kind: 'partial'; series: readonly Series[]; warnings: readonly string[] }
  | { kind: 'empty' }
  | QueryFailure

/** Reads the answer to `/api/v1/query` whose result is a vector or a scalar. */
export function readInstantAnswer(status: number, body: string): InstantResult {
  const envelope = readEnvelope(status, body)
  if ('kind' in envelope) return envelope
  const samples = envelope.type === 'scalar' ? readScalar(envelope.result) : readVector(envelope)
  if (samples === undefined) return notOfType(envelope.type, 'a vector')
  const { warnings } = envelope
  const evaluatedAtMs = newestMs(samples)
  if (warnings.length > 0) return { kind: 'partial', samples, evaluatedAtMs, warnings }
  return evaluatedAtMs === undefined ? { kind: 'empty' } : { kind: 'complete', samples, evaluatedAtMs }
}

/** Not by `Math.max(...)`: an answer within the size limit has more samples than a call may have arguments. */
function newestMs(samples: readonly Sample[]): number | undefined {
  return samples.reduce<number | undefined>(
    (newest, { timestampMs }) => Math.max(newest ?? timestampMs, timestampMs),
    undefined,
  )
}

/** Reads the answer to `/api/v1/query_range`. */
export function readRangeAnswer(status: number, body: string): RangeResult {
  const envelope = readEnvelope(status, body)
  if ('kind' in envelope) return envelope
  const series = readMatrix(envelope)
  if (series === undefined) return notOfType(envelope.type, 'a matrix')
  if (envelope.warnings.length > 0) return { kind: 'partial', series, warnings: envelope.warnings }
  return series.length === 0 ? { kind: 'empty' } : { kind: 'complete', series }
}

interface Envelope {
  type: string
  result: unknown
  warnings: readonly string[]
}

function readEnvelope(status: number, body: string): Envelope | QueryFailure {
  const answer = parseJson(body)
  const error = isObject(answer) && answer['status'] === 'error' ? errorText(answer) : undefined
  if (status === 400 || status === 422) {
    return error === undefined
      ? { kind: 'invalid_answer', status, message: `HTTP ${status} not in Prometheus's form; is the URL Prometheus's?` }
      : { kind: 'bad_query', status, message: error }
  }
  if (status < 200 || status > 299) {
    return { kind: 'unavailable', status, message: error === undefined ? `HTTP ${status}` : `HTTP ${status}: ${error}` }
  }
  if (error !== undefined) return { kind: 'unavailable', status, message: error }
  const data = isObject(answer) && answer['status'] === 'success' ? answer['data'] : undefined
  if (!isObject(answer) || !isObject(data) || typeof data['resultType'] !== 'string') {
    return { kind: 'invalid_answer', status, message: 'the answer is not in the form of the Prometheus API' }
  }
  const { warnings = [] } = answer
  if (!Array.isArray(warnings)) return { kind: 'invalid_answer', status, message: '`warnings` is not a list' }
  return {
    type: data['resultType'],
    result: data['result'],
    warnings: warnings.map(warning => shorten(String(warning))),
  }
}

function readVector({ type, result }: Envelope): Sample[] | undefined {
  if (type !== 'vector' || !Array.isArray(result)) return undefined
  const samples: Sample[] = []
  for (const item of result as unknown[]) {
    if (!isObject(item) || !isLabels(item['metric'])) return undefined
    const point = readPoint(item['value']) ?? readHistogram(item['histogram'])
    if (point === undefined) return undefined
    samples.push({ labels: item['metric'], ...point })
  }
  return samples
}

function readScalar(result: unknown): Sample[] | undefined {
  const point = readPoint(result)
  return point && [{ labels: {}, ...point }]
}

function readMatrix({ type, result }: Envelope): Series[] | undefined {
  if (type !== 'matrix' || !Array.isArray(result)) return undefined
  const series: Series[] = []
  for (const item of result as unknown[]) {
    if (!isObject(item) || !isLabels(item['metric'])) return undefined
    const { values = [], histograms = [] } = item
    if (!Array.isArray(values) || !Array.isArray(histograms)) return undefined
    const points = [...values.map(readPoint), ...histograms.map(readHistogram)].filter(point => point !== undefined)
    if (points.length !== values.length + histograms.length) return undefined
    points.sort((a, b) => a.timestampMs - b.timestampMs)
    series.push({ labels: item['metric'], points })
  }
  return series
}

/** `[seconds since 1970, "value"]` */
function readPoint(pair: unknown): Point | undefined {
  if (!Array.isArray(pair) || pair.length !== 2) return undefined
  const [seconds, raw] = pair as unknown[]
  if (typeof seconds !== 'number' || typeof raw !== 'string') return undefined
  return { timestampMs: Math.round(seconds * 1000), value: readNumber(raw), raw }
}

function readHistogram(pair: unknown): Point | undefined {
  if (!Array.isArray(pair) || typeof pair[0] !== 'number') return undefined
  return { timestampMs: Math.round(pair[0] * 1000), value: undefined, raw: 'histogram' }
}

/** JavaScript reads '' as 0 and '0x10' as 16; Prometheus writes neither. */
function readNumber(raw: string): number | undefined {
  const value = /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(raw) ? Number(raw) : NaN
  return Number.isFinite(value) ? value : undefined
}

function notOfType(type: string, wanted: string): QueryFailure {
  return {
    kind: 'invalid_answer',
    message: `the result is not ${wanted} in the API's form but of type ${shorten(type)}`,
  }
}

function errorText(answer: Readonly<Record<string, unknown>>): string {
  const { errorType, error } = answer
  const words = [errorType, error].filter(part => typeof part === 'string' && part !== '')
  return words.length === 0 ? 'an error without a message' : shorten(words.join(': '))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isLabels(value: unknown): value is Labels {
  return isObject(value) && Object.values(value).every(label => typeof label === 'string')
}

/** Messages end up in logs; Prometheus quotes whole series in some. */
function shorten(text: string): string {
  return text.length <= 500 ? text : `${text.slice(0, 499)}…`
}
