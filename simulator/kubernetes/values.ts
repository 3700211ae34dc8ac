import { isDeepStrictEqual } from 'node:util'

/** An API object as it travels: plain JSON. Integers beyond 2^53 lose their last digits, unlike in a real API server. */
export type KubeObject = Record<string, unknown>

export function isRecord(value: unknown): value is KubeObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function asRecord(value: unknown): KubeObject | undefined {
  return isRecord(value) ? value : undefined
}

export function asString(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

export function asNumber(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}

export function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : []
}

/** The members of a list that are objects; a real server would not have let the others through. */
export function records(value: unknown): KubeObject[] {
  return asList(value).filter(isRecord)
}

/** The object at `name`, put there when it is missing. */
export function ensureRecord(parent: KubeObject, name: string): KubeObject {
  const present = asRecord(parent[name])
  if (present) return present
  const made: KubeObject = {}
  parent[name] = made
  return made
}

export function metadataOf(object: KubeObject): KubeObject {
  return ensureRecord(object, 'metadata')
}

export function nameOf(object: KubeObject): string {
  return asString(metadataOf(object)['name']) ?? ''
}

export function versionOf(object: KubeObject): string {
  return asString(metadataOf(object)['resourceVersion']) ?? ''
}

export function labelsOf(object: KubeObject): Readonly<Record<string, string>> {
  const labels = asRecord(asRecord(object['metadata'])?.['labels']) ?? {}
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, asString(value) ?? '']))
}

export function setDefault(parent: KubeObject, name: string, value: unknown): void {
  parent[name] ??= value
}

/** Takes away members that say nothing: null everywhere, and the named ones when they are empty. */
export function dropEmpty(parent: KubeObject, names: readonly string[]): void {
  for (const name of names) {
    const value = parent[name]
    const empty = value === null || (Array.isArray(value) ? value.length === 0 : isRecord(value) && !hasMembers(value))
    if (empty) Reflect.deleteProperty(parent, name)
  }
}

function hasMembers(value: KubeObject): boolean {
  return Object.keys(value).length > 0
}

/** A copy that lacks the named members. */
export function without(object: KubeObject, names: readonly string[]): KubeObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)))
}

export function clone<T>(value: T): T {
  return structuredClone(value)
}

export function same(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(a, b)
}

/** The word that Go's JSON decoder uses for a value's type. */
export function goTypeOf(value: unknown): string {
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'boolean') return 'bool'
  return value === null ? 'null' : typeof value
}

const BASE64_WORD = /[A-Za-z0-9+/]/

/** Where Go's decoder of standard base64 stops, as it says it; undefined when the text is well formed. */
export function base64Problem(text: string): string | undefined {
  const content = text.replace(/[\r\n]/g, '')
  let at = 0
  while (at < content.length && BASE64_WORD.test(content.charAt(at))) at++
  const padding = content.slice(at)
  const left = at % 4
  if (padding === '' && left === 0) return undefined
  const wanted = left === 2 ? '==' : left === 3 ? '=' : undefined
  if (wanted !== undefined && padding === wanted) return undefined
  return `illegal base64 data at input byte ${padding === '' ? at - left : at}`
}
