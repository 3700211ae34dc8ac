import { Ajv } from 'ajv'
import { isCollection, isMap, isScalar, LineCounter, parseDocument, type Document, type YAMLError } from 'yaml'
import type { ConfigOf } from './config-type.ts'
import { explain, FORMATS, type PathSegment } from './config-rules.ts'

/** One thing to correct in a configuration. */
export interface Mistake {
  /** Such as `pools[0].clusters[1].tag`; empty for the document as a whole. */
  path: string
  /** What must hold there, to be read after the path: `must be at least 1`. Never holds the value. */
  rule: string
  /** In the YAML text, from 1. */
  line?: number
}

export type ConfigResult<Config> = { ok: true; config: Config } | { ok: false; mistakes: readonly Mistake[] }

/** A ConfigMap is at most 1 MiB. */
const MAX_TEXT_LENGTH = 1024 * 1024

/**
 * Makes a reader of YAML text for one JSON schema, which must be a constant (`as const`) so that the result is typed by
 * it. Defaults of the schema are filled in (a nested mapping needs `default: {}` itself); the result is frozen in depth.
 * All mistakes are told at once; `rules` adds those between fields, and is asked only when the schema holds, because it
 * may then rely on the types. The reader never throws for what the text holds.
 *
 * Beside the keywords of JSON schema: `discriminator` with `oneOf`, and the formats `http-url` and `listen-address`.
 */
export function createConfigReader<const Schema extends object>(
  schema: Schema,
  rules?: (config: ConfigOf<Schema>) => readonly Mistake[],
): (text: string) => ConfigResult<ConfigOf<Schema>>
export function createConfigReader(
  schema: object,
  rules: (config: never) => readonly Mistake[] = () => [],
): (text: string) => ConfigResult<unknown> {
  const ajv = new Ajv({
    allErrors: true,
    useDefaults: true,
    strict: true,
    // A discriminated `oneOf` requires keys that only its branches define.
    strictRequired: false,
    allowUnionTypes: true,
    discriminator: true,
    verbose: true,
  })
  for (const [name, { test }] of Object.entries(FORMATS)) ajv.addFormat(name, test)
  const validate = ajv.compile(schema)

  return text => {
    const parsed = parseYaml(text)
    if ('mistakes' in parsed) return { ok: false, mistakes: parsed.mistakes }
    const { value, lineOf } = parsed
    if (!validate(value)) {
      const mistakes = explain(validate.errors ?? [], value).map(({ path, rule }) => ({
        path: formatPath(path),
        rule,
        ...lineOf(path),
      }))
      return { ok: false, mistakes: inOrder(mistakes) }
    }
    const config = freeze(value)
    const mistakes = rules(config as never).map(mistake => ({ ...lineOf(parsePath(mistake.path)), ...mistake }))
    return mistakes.length === 0 ? { ok: true, config } : { ok: false, mistakes: inOrder(mistakes) }
  }
}

/** One line per mistake: `decider.yaml:12: pools[0].clusters[1].tag is required`. */
export function formatMistakes(mistakes: readonly Mistake[], file: string): string {
  return mistakes
    .map(
      ({ path, rule, line }) =>
        `${file}:${line === undefined ? '' : `${line}:`} ${path === '' ? '' : `${path} `}${rule}`,
    )
    .join('\n')
}

type LineOf = (path: readonly PathSegment[]) => { line?: number }

function parseYaml(text: string): { value: unknown; lineOf: LineOf } | { mistakes: Mistake[] } {
  const wrong = (rule: string, line?: number) => ({ mistakes: [{ path: '', rule, ...(line && { line }) }] })
  if (text.length > MAX_TEXT_LENGTH) return wrong(`the document must be at most ${MAX_TEXT_LENGTH} characters long`)
  const lines = new LineCounter()
  try {
    const document = parseDocument(text, {
      schema: 'core',
      resolveKnownTags: false,
      stringKeys: true,
      prettyErrors: false,
      logLevel: 'error',
      lineCounter: lines,
    })
    const errors = [...document.errors, ...document.warnings]
    if (errors.length > 0) {
      return {
        mistakes: errors.map(error => ({ path: '', rule: syntaxRule(error, text), line: lineAt(lines, error.pos[0]) })),
      }
    }
    if (!isMap(document.contents)) return wrong('the document must be a mapping (`key: value` lines)', 1)
    return { value: document.toJS({ maxAliasCount: 100 }), lineOf: path => findLine(document, lines, path) }
  } catch (error) {
    // Aliases are resolved late: an unknown one, or so many that they only serve to exhaust memory.
    return wrong(`the document cannot be read as YAML: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function syntaxRule({ code, message, pos }: YAMLError, text: string): string {
  switch (code) {
    case 'DUPLICATE_KEY':
      return `the key ${/^[^\s:]{1,60}/.exec(text.slice(pos[0]))?.[0] ?? ''} is given twice`
    case 'MULTIPLE_DOCS':
      return 'there must be one document, without a second one after `---`'
    case 'TAG_RESOLVE_FAILED':
      return 'tags that start with `!` are not allowed'
    case 'NON_STRING_KEY':
      return 'keys must be texts'
    default:
      return `is not valid YAML: ${message}`
  }
}

/** The line of the deepest part of `path` that is in the text: a missing key has its mapping's line, at the top none. */
function findLine(document: Document, lines: LineCounter, path: readonly PathSegment[]): { line?: number } {
  let node: unknown = document.contents
  let line: number | undefined
  for (const segment of path) {
    let position: unknown = undefined
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(segment))
      position = isScalar(pair?.key) ? pair.key.range?.[0] : undefined
      node = pair?.value
    } else if (isCollection(node)) {
      node = node.get(segment, true)
      position =
        typeof node === 'object' && node !== null && 'range' in node ? (node.range as number[] | null)?.[0] : undefined
    }
    if (typeof position !== 'number') break
    line = lineAt(lines, position)
  }
  return line === undefined ? {} : { line }
}

function lineAt(lines: LineCounter, offset: number): number {
  return Math.max(1, lines.linePos(offset).line)
}

function formatPath(path: readonly PathSegment[]): string {
  return path
    .map(segment => {
      if (typeof segment === 'number') return `[${segment}]`
      return /^[\w-]+$/.test(segment) ? `.${segment}` : `[${JSON.stringify(segment.slice(0, 60))}]`
    })
    .join('')
    .replace(/^\./, '')
}

function parsePath(path: string): PathSegment[] {
  return [...path.matchAll(/\[(\d+)\]|[^.[\]]+/g)].map(([text, index]) => (index === undefined ? text : Number(index)))
}

function inOrder(mistakes: readonly Mistake[]): Mistake[] {
  return mistakes.toSorted((a, b) => (a.line ?? Infinity) - (b.line ?? Infinity) || 0)
}

function freeze(value: unknown): unknown {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    Object.values(value).forEach(freeze)
  }
  return value
}
