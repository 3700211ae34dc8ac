import { readFileSync } from 'node:fs'

/** Parsed JSON whose shape the recordings promise. */
export type Body = Record<string, unknown>

const FOLDER = new URL('../recordings/kubernetes/', import.meta.url)

export function readRecording(name: string): unknown {
  return JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8'))
}

export function readRecordings(name: string): unknown[] {
  const lines = readFileSync(new URL(name, FOLDER), 'utf8').trimEnd().split('\n')
  return lines.map(line => JSON.parse(line) as unknown)
}

export function isBody(value: unknown): value is Body {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Versions, names and tokens of a recording and what stands for them here. The same recorded word must always meet the
 * same word here, and two different ones never.
 */
export class Translation {
  readonly #here = new Map<string, string>()
  readonly #recorded = new Map<string, string>()

  /** Undefined when the pair fits what was seen before; otherwise what does not. */
  learn(recorded: string, here: string): string | undefined {
    const known = this.#here.get(recorded) ?? here
    const reverse = this.#recorded.get(here) ?? recorded
    if (known !== here) return `${recorded} was ${known} and is now ${here}`
    if (reverse !== recorded) return `${here} stands for ${reverse} and ${recorded}`
    this.#here.set(recorded, here)
    this.#recorded.set(here, recorded)
    return undefined
  }

  /** What a recorded word is called here; unknown ones stay. */
  here(recorded: string): string {
    return this.#here.get(recorded) ?? recorded
  }
}

/** Members whose values differ from run to run; only that they are there, and are text, is compared. */
const VOLATILE = new Set(['uid', 'creationTimestamp', 'deletionTimestamp'])

/** All resourceVersions in a body, in order. */
export function versionsIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(versionsIn)
  if (!isBody(value)) return []
  return Object.keys(value)
    .sort()
    .flatMap(name => {
      const member = value[name]
      return name === 'resourceVersion' && typeof member === 'string' ? [member] : versionsIn(member)
    })
}

/**
 * What is compared of a body. Left out: managedFields (server-side apply is not simulated), the fourth source of the
 * token volume (it is not upstream's), values that are random or times.
 */
export function comparable(value: unknown): unknown {
  if (typeof value === 'string') return comparableText(value)
  if (Array.isArray(value)) {
    return value
      .filter(item => !JSON.stringify(item).includes('"openshift-service-ca.crt"') || !isSource(item))
      .map(comparable)
  }
  if (!isBody(value)) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => name !== 'managedFields')
      .map(([name, member]) => {
        if (VOLATILE.has(name) && typeof member === 'string') return [name, `<${name}>`]
        if (name === 'resourceVersion' || name === 'continue') return [name, `<${name}>`]
        if (name === 'caBundle') return [name, '<caBundle>']
        return [name, comparable(member)]
      }),
  )
}

function isSource(item: unknown): boolean {
  return isBody(item) && isBody(item['configMap'])
}

function comparableText(text: string): string {
  return text
    .replace(/(Invalid value: )"\{.*\}"(: )/s, '$1"<object>"$2')
    .replace(/\((\d+)\)/g, '(<version>)')
    .replace(/too old resource version: \d{3,}/, 'too old resource version: <version>')
    .replace(/current: \d+/, 'current: <version>')
    .replace(/hadr-decider-[a-z0-9]{5}\b/g, 'hadr-decider-<suffix>')
    .replace(/kube-api-access-[a-z0-9]{5}\b/g, 'kube-api-access-<suffix>')
    .replace(/response\.uid="[0-9a-f-]{36}"/, 'response.uid="<uid>"')
    .replace(/got "[0-9A-F-]{36}"$/, 'got "<UID>"')
    .replace(/current time \S+ is (after|before) \S+$/, '')
    .replace(/expired or is not yet valid: $/, 'expired or is not yet valid')
}
