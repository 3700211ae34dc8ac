import { textField, textsField } from './json.ts'
import { INJECTED_ANNOTATION } from './names.ts'
import type { PodShape } from './shape.ts'

/**
 * What was added to a pod, in the annotation of ours: a JSON list of these. A `list:` was absent before and goes again
 * with its last element. Only taking the sidecar out reads it: what a pod says of itself proves nothing.
 */
export type Added =
  | 'container'
  | 'default-container'
  | `volume:${string}`
  | `variable:${string}`
  | `list:${'annotations' | 'volumes' | 'initContainers' | 'env'}`

const ADDED =
  /^(?:container|default-container|(?:volume|variable):[a-z0-9.-]{1,253}|list:(?:annotations|volumes|initContainers|env))$/
const MAX_ADDED = 20

/** The entries of a pod's annotations; none when it has no such annotation or a damaged one. */
export function readRecord(annotations: unknown): readonly Added[] {
  const text = textField(annotations, INJECTED_ANNOTATION)
  if (text === undefined || text.length > 4096) return []
  try {
    const added: unknown = JSON.parse(text)
    return textsField({ added }, 'added')
      .filter((entry): entry is Added => ADDED.test(entry))
      .slice(0, MAX_ADDED)
  } catch {
    return []
  }
}

/** The annotation's text after `added`, together with what an earlier call wrote. */
export function writeRecord({ annotations }: PodShape, added: readonly Added[]): string {
  const before = readRecord(annotations)
  return JSON.stringify(before.length === 0 ? added : [...new Set([...before, ...added])])
}
