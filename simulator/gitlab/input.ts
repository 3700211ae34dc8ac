import { refusals } from './answers.ts'

const TRUE = new Set<unknown>([true, 'true', '1', 't', 1])
const FALSE = new Set<unknown>([false, 'false', '0', 'f', 0])

/**
 * The parameters of one request, query and body together, read as Grape reads them: strings are coerced, a wrong kind
 * is a 400 with `{"error": "name is invalid"}`. `undefined` means the parameter was not sent.
 */
export class Input {
  readonly #values: ReadonlyMap<string, unknown>

  constructor(values: ReadonlyMap<string, unknown>) {
    this.#values = values
  }

  has(name: string): boolean {
    return this.#values.has(name)
  }

  raw(name: string): unknown {
    return this.#values.get(name)
  }

  /** Refuses with all missing names at once. */
  require(names: readonly string[]): void {
    const missing = names.filter(name => this.#values.get(name) === undefined)
    if (missing.length > 0) throw refusals.parameter(missing.map(name => `${name} is missing`).join(', '))
  }

  /** A JSON null counts as not sent, except where `raw` is asked. */
  string(name: string): string | undefined {
    const value = this.#values.get(name)
    if (value === undefined || value === null) return undefined
    if (typeof value === 'object') throw refusals.parameter(`${name} is invalid`)
    return typeof value === 'string' ? value : JSON.stringify(value)
  }

  integer(name: string): number | undefined {
    const value = this.#values.get(name)
    if (value === undefined || value === null || value === '') return undefined
    const number = typeof value === 'number' ? value : typeof value === 'string' ? Number(value) : Number.NaN
    if (!Number.isInteger(number)) throw refusals.parameter(`${name} is invalid`)
    return number
  }

  boolean(name: string): boolean | undefined {
    const value = this.#values.get(name)
    if (value === undefined || value === null || value === '') return undefined
    if (TRUE.has(value)) return true
    if (FALSE.has(value)) return false
    throw refusals.parameter(`${name} is invalid`)
  }

  oneOf<T extends string>(name: string, allowed: readonly T[]): T | undefined {
    const value = this.string(name)
    if (value === undefined) return undefined
    const known = allowed.find(candidate => candidate === value)
    if (known === undefined) throw refusals.parameter(`${name} does not have a valid value`)
    return known
  }

  /** A list sent as an array or as one comma separated string; commas separate inside array elements, too. */
  list(name: string): string[] | undefined {
    if (!this.#values.has(name)) return undefined
    const value = this.#values.get(name)
    const parts = Array.isArray(value) ? (value as unknown[]) : [value]
    return parts
      .flatMap(part => (typeof part === 'string' || typeof part === 'number' ? String(part).split(',') : []))
      .map(part => part.trim())
      .filter(part => part !== '')
  }

  /** A hash; anything else counts as an empty one. */
  hash(name: string): Readonly<Record<string, unknown>> {
    return asRecord(this.#values.get(name)) ?? {}
  }
}

export function asRecord(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined
}

export function asString(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** Query and body of a request; `name[]` collects into an array, as Rack has it. Refuses a body that is no JSON. */
export function readInput(query: URLSearchParams, contentType: string | undefined, body: string): Input {
  const values = new Map<string, unknown>()
  collect(values, query)
  if (body !== '' && contentType?.startsWith('application/x-www-form-urlencoded')) {
    collect(values, new URLSearchParams(body))
  } else if (body !== '' && (contentType === undefined || contentType.startsWith('application/json'))) {
    for (const [name, value] of Object.entries(asRecord(parseJson(body)) ?? {})) values.set(name, value)
  }
  return new Input(values)
}

export function parseJson(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    throw refusals.parameter('Problem occurred while parsing request body as JSON')
  }
}

function collect(values: Map<string, unknown>, parameters: URLSearchParams): void {
  for (const [name, value] of parameters) {
    if (!name.endsWith('[]')) {
      values.set(name, value)
      continue
    }
    const key = name.slice(0, -2)
    const list = values.get(key)
    values.set(key, Array.isArray(list) ? [...(list as unknown[]), value] : [value])
  }
}
