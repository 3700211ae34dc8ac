import { isDeepStrictEqual } from 'node:util'
import { parseAllDocuments, parseDocument, type Document } from 'yaml'
import { applyAdditions } from '../../webhook/check.ts'
import { decide, type DecideOptions } from '../../webhook/decide.ts'
import { SKIP_REASONS } from '../../webhook/reasons.ts'
import type { TargetRequest } from '../../webhook/target.ts'
import { podPlaces, type PodPlace } from './manifest.ts'
import { removalsFrom } from './removals.ts'
import { additionTo, applyEdits, removalOf, type Path, type TextEdit, UneditableError } from './text-edits.ts'

export interface Rewritten {
  text: string
  /** One line per pod, with its warnings after it. */
  notes: readonly string[]
}

/** The manifests cannot be read, or not be changed; the message names the place. */
export class ManifestError extends Error {}

/** As kubectl reads YAML, with whole numbers of any size. */
const YAML_OPTIONS = { version: '1.1', intAsBigInt: true, prettyErrors: true, logLevel: 'error' } as const

/** Gives each runner's pod in the manifests what the webhook would give it; the rest of the text stays byte for byte. */
export function injectText(text: string, options: DecideOptions): Rewritten {
  return rewrite(text, place => {
    const decision = decide(place.pod, creationIn(place.namespace), options)
    if ('skip' in decision) return { edits: [], notes: [`${place.what}: unchanged: ${SKIP_REASONS[decision.skip]}`] }
    const edits = decision.patch.map(({ path, value }): Edit => {
      const keys = path.split('/').slice(1)
      return { path: [...place.path, ...keys.map(key => key.replaceAll('~1', '/').replaceAll('~0', '~'))], value }
    })
    const notes = [`${place.what}: injected`, ...decision.warnings.map(warning => `${place.what}: ${warning}`)]
    return { edits, notes }
  })
}

/** Takes out what was injected, by this program or by the webhook. */
export function uninjectText(text: string): Rewritten {
  return rewrite(text, place => {
    const edits = removalsFrom(place.pod).map(path => ({ path: [...place.path, ...path] }))
    return {
      edits,
      notes: [`${place.what}: ${edits.length === 0 ? 'unchanged: it has no sidecar of ours' : 'uninjected'}`],
    }
  })
}

/** With a value an addition, without one a removal. */
interface Edit {
  path: Path
  value?: unknown
}

function rewrite(text: string, plan: (place: PodPlace) => { edits: Edit[]; notes: string[] }): Rewritten {
  const notes: string[] = []
  let result = ''
  let start = 0
  for (const document of readAll(text)) {
    const end = document.range[2]
    const plans = podPlaces(document.toJS()).map(place => ({ place, ...plan(place) }))
    notes.push(...plans.flatMap(each => each.notes))
    result += plans.reduce((part, { place, edits }) => edited(part, place.what, edits), text.slice(start, end))
    start = end
  }
  return { text: result + text.slice(start), notes }
}

/** One after the other, each on the text that the last one left; the outcome is read again, and must be what was meant. */
function edited(text: string, what: string, edits: readonly Edit[]): string {
  const before: unknown = parseDocument(text, YAML_OPTIONS).toJS()
  try {
    const after = edits.reduce((current, edit) => applyEdits(current, [textEdit(current, edit)]), text)
    const document = parseDocument(after, YAML_OPTIONS)
    const meant = edits.reduce<unknown>(changed, before)
    if (document.errors.length > 0 || !isDeepStrictEqual(document.toJS(), meant)) {
      throw new UneditableError('is written in a way that an edit would break')
    }
    return after
  } catch (error) {
    if (!(error instanceof UneditableError)) throw error
    throw new ManifestError(`${what} cannot be changed in place: it ${error.message}; write it without that`)
  }
}

function textEdit(text: string, edit: Edit): TextEdit {
  const { contents } = parseDocument(text, YAML_OPTIONS)
  return 'value' in edit ? additionTo(text, contents, edit.path, edit.value) : removalOf(text, contents, edit.path)
}

function changed(value: unknown, edit: Edit): unknown {
  if (!('value' in edit)) return without(value, edit.path)
  const path = edit.path.map(key => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
  return applyAdditions(value, [{ op: 'add', path, value: asRead(edit.value) }])
}

/** Whole numbers come from YAML as big ones. */
function asRead(value: unknown): unknown {
  if (typeof value === 'number') return BigInt(value)
  if (Array.isArray(value)) return value.map(asRead)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, asRead(inner)]))
}

function without(value: unknown, [key, ...rest]: Path): unknown {
  if (Array.isArray(value)) {
    const items: readonly unknown[] = value
    const index = Number(key)
    return rest.length === 0 ? items.toSpliced(index, 1) : items.with(index, without(items[index], rest))
  }
  const entries = Object.entries(value ?? {})
  return Object.fromEntries(
    entries.flatMap(([name, inner]: [string, unknown]) => {
      if (name !== key) return [[name, inner]]
      return rest.length === 0 ? [] : [[name, without(inner, rest)]]
    }),
  )
}

function readAll(text: string): Document.Parsed[] {
  const documents = parseAllDocuments(text, YAML_OPTIONS)
  if (!Array.isArray(documents)) return []
  for (const { errors } of documents) {
    if (errors[0] !== undefined) throw new ManifestError(`this is not valid YAML: ${errors[0].message}`)
  }
  return documents
}

function creationIn(namespace: string): TargetRequest {
  return { operation: 'CREATE', group: '', version: 'v1', kind: 'Pod', subResource: '', namespace }
}
