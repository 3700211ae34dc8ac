/** A JSON object as it came: nothing is known of its values, and unknown fields stay where they are. */
export type JsonObject = Readonly<Record<string, unknown>>

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** An own field; undefined when it is absent, null, or when `value` is no object. Never looks at prototypes. */
export function field(value: unknown, key: string): unknown {
  return isObject(value) && Object.hasOwn(value, key) ? (value[key] ?? undefined) : undefined
}

/** A text field; undefined for anything else. */
export function textField(value: unknown, key: string): string | undefined {
  const found = field(value, key)
  return typeof found === 'string' ? found : undefined
}

/** The objects of a list field; none when the field is absent, null or no list. */
export function objectsField(value: unknown, key: string): readonly JsonObject[] {
  const found = field(value, key)
  return Array.isArray(found) ? found.filter(isObject) : []
}

/** The texts of a list field; none when the field is absent, null or no list. */
export function textsField(value: unknown, key: string): readonly string[] {
  const found = field(value, key)
  return Array.isArray(found) ? found.filter(item => typeof item === 'string') : []
}

/** Escapes a key for use in a JSON pointer (RFC 6901). */
export function escapeKey(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}

/** The key that `escapeKey` made this of. */
export function unescapeKey(escaped: string): string {
  return escaped.includes('~') ? escaped.replaceAll('~1', '/').replaceAll('~0', '~') : escaped
}
