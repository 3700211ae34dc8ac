import type { ErrorObject } from 'ajv'
import { parseListenAddress } from './listen-address.ts'
import { nearMiss } from './near-miss.ts'

/** Formats that a schema may name beside ajv's keywords, each with the rule that a person reads. */
export const FORMATS: Readonly<Record<string, { rule: string; test: (text: string) => boolean }>> = {
  'http-url': {
    rule: 'must be a URL that starts with http:// or https://',
    test: text => /^https?:\/\//i.test(text) && URL.canParse(text),
  },
  'listen-address': {
    rule: 'must be an address and a port, such as 0.0.0.0:8080, [::]:8080 or :8080',
    test: text => parseListenAddress(text) !== undefined,
  },
}

export type PathSegment = string | number

/** What is wrong where, in words. Never repeats the value: a secret in the wrong place must not reach a log. */
export interface BrokenRule {
  path: readonly PathSegment[]
  rule: string
}

/**
 * Ajv's errors as a person needs them: one per place, outermost cause first, without the noise of alternatives tried.
 * The validator must run with `verbose`.
 */
export function explain(errors: readonly ErrorObject[], document: unknown): BrokenRule[] {
  const alternatives = errors.filter(({ keyword }) => keyword === 'oneOf' || keyword === 'anyOf')
  const seen = new Set<string>()
  const broken: BrokenRule[] = []
  for (const error of errors) {
    if (
      error.keyword === 'if' ||
      alternatives.some(({ schemaPath }) => error.schemaPath.startsWith(`${schemaPath}/`))
    ) {
      continue
    }
    const item = explainOne(error, segmentsOf(error.instancePath, document))
    const place = JSON.stringify(item.path)
    if (!seen.has(place)) broken.push(item)
    seen.add(place)
  }
  return broken
}

function explainOne(error: ErrorObject, path: readonly PathSegment[]): BrokenRule {
  const params = error.params as Readonly<Record<string, unknown>>
  const schema: unknown = error.schema
  const here = (rule: string): BrokenRule => ({ path, rule })
  switch (error.keyword) {
    case 'required': {
      const key = String(params['missingProperty'])
      return { path: [...path, key], rule: `is required${described(propertySchema(error.parentSchema, key))}` }
    }
    case 'additionalProperties': {
      const key = String(params['additionalProperty'])
      return { path: [...path, key], rule: unknownKey(key, Object.keys(properties(error.parentSchema))) }
    }
    case 'type':
      return here(`must be ${typeNames(schema)}, not ${typeOf(error.data)}`)
    case 'enum':
      return here(oneOf(schema, error.data))
    case 'const':
      return here(`must be ${String(schema)}`)
    case 'discriminator':
      return { path: [...path, String(params['tag'])], rule: oneOf(tagValues(error), params['tagValue']) }
    case 'format':
      return here(FORMATS[String(schema)]?.rule ?? `must be in the format ${String(schema)}`)
    case 'pattern':
      return here(`must match ${String(schema)}${described(error.parentSchema)}`)
    case 'minimum':
      return here(`must be at least ${String(schema)}`)
    case 'maximum':
      return here(`must be at most ${String(schema)}`)
    case 'exclusiveMinimum':
      return here(`must be more than ${String(schema)}`)
    case 'exclusiveMaximum':
      return here(`must be less than ${String(schema)}`)
    case 'minLength':
      return here(schema === 1 ? 'must not be empty' : `must have at least ${String(schema)} characters`)
    case 'maxLength':
      return here(`must have at most ${String(schema)} characters`)
    case 'minItems':
      return here(schema === 1 ? 'must have at least one entry' : `must have at least ${String(schema)} entries`)
    case 'maxItems':
      return here(`must have at most ${String(schema)} entries`)
    case 'uniqueItems':
      return here(`must not repeat an entry: [${String(params['j'])}] and [${String(params['i'])}] are the same`)
    case 'anyOf':
    case 'oneOf':
      return here(`fits none of the allowed forms${described(error.parentSchema)}`)
    default:
      return here(error.message ?? `breaks the rule ${error.keyword}`)
  }
}

function unknownKey(key: string, known: readonly string[]): string {
  const near = nearMiss(key, known)
  if (near !== undefined) return `is not a known key; did you mean ${near}?`
  return known.length === 0 ? 'is not a known key' : `is not a known key; known here: ${known.join(', ')}`
}

function oneOf(allowed: unknown, actual: unknown): string {
  const words = Array.isArray(allowed) ? allowed.map(String) : []
  const near = typeof actual === 'string' ? nearMiss(actual, words) : undefined
  return `must be one of ${words.join(', ')}${near === undefined ? '' : `; did you mean ${near}?`}`
}

function tagValues({ parentSchema, params }: ErrorObject): string[] {
  const tag = String((params as Readonly<Record<string, unknown>>)['tag'])
  const branches: unknown = parentSchema?.['oneOf']
  if (!Array.isArray(branches)) return []
  return branches.flatMap(branch => {
    const { const: one, enum: several } = (propertySchema(branch, tag) ?? {}) as { const?: unknown; enum?: unknown }
    return Array.isArray(several) ? several.map(String) : [String(one)]
  })
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  integer: 'a whole number',
  number: 'a number',
  string: 'a text',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  null: 'empty',
}

function typeNames(schema: unknown): string {
  return [schema]
    .flat()
    .map(name => TYPE_NAMES[String(name)] ?? String(name))
    .join(' or ')
}

function typeOf(value: unknown): string {
  if (value === null) return TYPE_NAMES['null'] ?? ''
  return (Array.isArray(value) ? TYPE_NAMES['array'] : TYPE_NAMES[typeof value]) ?? typeof value
}

function described(schema: unknown): string {
  const description = isObject(schema) ? schema['description'] : undefined
  return typeof description === 'string' ? ` (${description})` : ''
}

function properties(schema: unknown): Readonly<Record<string, unknown>> {
  const found = isObject(schema) ? schema['properties'] : undefined
  return isObject(found) ? found : {}
}

function propertySchema(schema: unknown, key: string): unknown {
  const found = properties(schema)
  return Object.hasOwn(found, key) ? found[key] : undefined
}

/** A JSON pointer tells a list's index from a key `0` only beside the document. */
function segmentsOf(pointer: string, document: unknown): PathSegment[] {
  let value = document
  return pointer
    .split('/')
    .slice(1)
    .map(text => {
      const key = text.replaceAll('~1', '/').replaceAll('~0', '~')
      const segment = Array.isArray(value) ? Number(key) : key
      value = isObject(value) || Array.isArray(value) ? (value as Readonly<Record<string, unknown>>)[key] : undefined
      return segment
    })
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
