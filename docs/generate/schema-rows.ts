/** What is read of a JSON schema. */
interface Schema {
  type?: string | readonly string[]
  enum?: readonly unknown[]
  const?: unknown
  format?: string
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  default?: unknown
  description?: string
  required?: readonly string[]
  properties?: Readonly<Record<string, Schema>>
  items?: Schema
  oneOf?: readonly Schema[]
  discriminator?: { propertyName: string }
}

/** One key of a configuration file. */
export interface KeyRow {
  key: string
  value: string
  fallback: string
  meaning: string
}

/** Every key of a schema in the order of the schema; alternatives name the one they belong to. */
export function rowsOf(schema: Schema, path = ''): KeyRow[] {
  const { properties = {}, items, oneOf, required = [] } = schema
  if (items) return rowsOf(items, `${path}[]`)
  const own = Object.entries(properties).flatMap(([name, inner]) => {
    const key = path === '' ? name : `${path}.${name}`
    if (inner.oneOf) return [...alternativesOf(inner, key), ...inner.oneOf.flatMap(each => branchOf(inner, each, key))]
    if (inner.properties ?? inner.items) return [...aboutOf(inner, key, required.includes(name)), ...rowsOf(inner, key)]
    return [rowOf(inner, key, required.includes(name))]
  })
  return [...own, ...(oneOf ?? []).flatMap(each => rowsOf(each, path))]
}

/** A mapping or a list has a row where there is something to say of it as a whole. */
function aboutOf(schema: Schema, key: string, isRequired: boolean): KeyRow[] {
  if (schema.items) {
    return [{ key, value: 'list', fallback: isRequired ? 'required' : '', meaning: schema.description ?? '' }]
  }
  if (schema.description === undefined) return []
  return [{ key, value: 'mapping', fallback: isRequired ? 'required' : '', meaning: schema.description }]
}

/** The key that chooses among alternatives. */
function alternativesOf({ oneOf = [], discriminator, default: fallback }: Schema, key: string): KeyRow[] {
  const name = discriminator?.propertyName ?? ''
  const choices = oneOf.map(each => each.properties?.[name])
  const first = (fallback as Readonly<Record<string, unknown>> | undefined)?.[name]
  return [
    {
      key: `${key}.${name}`,
      value: choices.map(choice => code(choice?.const)).join(', '),
      fallback: first === undefined ? 'required' : code(first),
      meaning: choices.map(choice => `${code(choice?.const)}: ${choice?.description ?? ''}`).join('; '),
    },
  ]
}

function branchOf({ discriminator }: Schema, branch: Schema, key: string): KeyRow[] {
  const name = discriminator?.propertyName ?? ''
  const choice = code(branch.properties?.[name]?.const)
  const others = Object.entries(branch.properties ?? {}).filter(([each]) => each !== name)
  return others.map(([each, inner]) => {
    const row = rowOf(inner, `${key}.${each}`, branch.required?.includes(each) ?? false)
    return { ...row, fallback: row.fallback === 'required' ? `required with ${choice}` : row.fallback }
  })
}

function rowOf(schema: Schema, key: string, isRequired: boolean): KeyRow {
  const fallback = isRequired ? 'required' : schema.default === undefined ? '' : code(schema.default)
  return { key, value: valueOf(schema), fallback, meaning: schema.description ?? '' }
}

function valueOf({ type, enum: choices, const: only, format, minimum, maximum, exclusiveMinimum }: Schema): string {
  if (choices) return choices.map(code).join(', ')
  if (only !== undefined) return code(only)
  if (format !== undefined) return { 'http-url': 'URL', 'listen-address': 'address and port' }[format] ?? format
  const names: Readonly<Record<string, string>> = { string: 'text', integer: 'whole number', number: 'number' }
  const kind = [type].flat().map(each => names[each ?? ''] ?? each)
  const range = [
    ...(minimum === undefined ? [] : [`from ${minimum}`]),
    ...(exclusiveMinimum === undefined ? [] : [`above ${exclusiveMinimum}`]),
    ...(maximum === undefined ? [] : [`to ${maximum}`]),
  ]
  return [kind.join(' or '), ...range].join(' ')
}

function code(value: unknown): string {
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``
}
