/**
 * The type of what a JSON schema (a constant, `as const`) lets through, read-only in depth. Knows the keywords that our
 * configurations use: `type`, `properties`, `required`, `items`, `enum`, `const`, `oneOf` with a discriminator, and a schema
 * for `additionalProperties`. A property with a `default` is always there, since the reader fills it in.
 *
 * Own types, because the general ones of json-schema-to-ts took the compiler 20 seconds and then too deep for one
 * configuration with a `oneOf`.
 */
export type ConfigOf<Schema> = Schema extends { const: infer Value }
  ? Value
  : Schema extends { enum: readonly (infer Value)[] }
    ? Value
    : Schema extends { oneOf: readonly (infer Branch)[] }
      ? MappingOf<Branch>
      : Schema extends { type: readonly (infer Type)[] }
        ? OfType<Type, Schema>
        : Schema extends { type: infer Type }
          ? OfType<Type, Schema>
          : unknown

/** Distributes over a union of types. */
type OfType<Type, Schema> = Type extends 'object'
  ? MappingOf<Schema>
  : Type extends 'array'
    ? readonly ConfigOf<Schema extends { items: infer Items } ? Items : unknown>[]
    : Type extends 'integer' | 'number'
      ? number
      : Type extends keyof Plain
        ? Plain[Type]
        : never

interface Plain {
  string: string
  boolean: boolean
  null: null
}

/** Distributes over a union of schemas, as the branches of a `oneOf` are. */
type MappingOf<Schema> = Schema extends { properties: infer Properties }
  ? { readonly [Key in Given<Schema, Properties>]: ConfigOf<Properties[Key]> } & {
      readonly [Key in Exclude<keyof Properties, Given<Schema, Properties>>]?: ConfigOf<Properties[Key]>
    }
  : Schema extends { additionalProperties: infer Value extends object }
    ? Readonly<Record<string, ConfigOf<Value>>>
    : Readonly<Record<string, unknown>>

/** A `const` counts as given: it is what a branch is chosen by. */
type Given<Schema, Properties> = {
  [Key in keyof Properties]: Properties[Key] extends { default: unknown } | { const: unknown }
    ? Key
    : Schema extends { required: readonly (infer Required)[] }
      ? Key extends Required
        ? Key
        : never
      : never
}[keyof Properties]
