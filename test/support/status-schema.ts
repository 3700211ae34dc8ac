import { Ajv } from 'ajv'
import { statusSchema } from '../../decider/status/schema.ts'

/** The published schema, where tests are stricter: a property that it does not name is a mistake, too. */
const validate = new Ajv({
  allErrors: true,
  strict: true,
  allowUnionTypes: true,
  formats: { 'date-time': isInstant },
}).compile(closed(statusSchema) as object)

/** What is wrong with an answer of `/status`; empty: nothing. It is looked at as it goes over the wire. */
export function statusMistakes(answer: unknown): string[] {
  if (validate(JSON.parse(JSON.stringify(answer)))) return []
  return (validate.errors ?? []).map(({ instancePath, message, params }) =>
    [instancePath, message, JSON.stringify(params)].join(' '),
  )
}

function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed)
  if (typeof schema !== 'object' || schema === null) return schema
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]))
  return 'required' in inner ? { ...inner, additionalProperties: false } : inner
}

function isInstant(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(text) && Number.isFinite(Date.parse(text))
}
