import type { AddOperation } from 'fast-json-patch'
import { field, objectsField, textField, unescapeKey, type JsonObject } from './json.ts'
import { CONTAINER_NAME } from './names.ts'
import { shapeOf } from './shape.ts'

export type Addition = AddOperation<unknown>

/** Kubernetes' limit for all annotations of an object, keys and values together. */
const MAX_ANNOTATION_BYTES = 256 * 1024

/**
 * The object with `additions`, sharing what is untouched; undefined when one has no place. Knows `add` to a mapping
 * and `-` at the end of a list: all that we emit.
 */
export function applyAdditions(object: unknown, additions: readonly Addition[]): unknown {
  // What was copied for one addition can take the next one, too.
  const copies = new Set<unknown>()
  let result = object
  for (const { path, value } of additions) {
    const keys = path.split('/')
    result = addAt(result, path.includes('~') ? keys.map(unescapeKey) : keys, 1, value, copies)
    if (result === undefined) return undefined
  }
  return result
}

function addAt(parent: unknown, keys: readonly string[], at: number, value: unknown, copies: Set<unknown>): unknown {
  const key = keys[at]
  const isLast = at === keys.length - 1
  // A key that assigning would take for the prototype is none that we emit.
  if (key === undefined || key === '__proto__' || typeof parent !== 'object' || parent === null) return undefined
  if (Array.isArray(parent)) {
    const items: readonly unknown[] = parent
    if (isLast && key !== '-') return undefined
    const item = isLast ? value : addAt(items[Number(key)], keys, at + 1, value, copies)
    if (item === undefined) return undefined
    const list = copies.has(parent) ? (parent as unknown[]) : [...items]
    copies.add(list)
    if (isLast) list.push(item)
    else list[Number(key)] = item
    return list
  }
  const child = isLast ? value : addAt(field(parent, key), keys, at + 1, value, copies)
  if (child === undefined) return undefined
  const mapping = (copies.has(parent) ? parent : { ...parent }) as Record<string, unknown>
  copies.add(mapping)
  mapping[key] = child
  return mapping
}

/**
 * Whether an API server accepts the pod as far as the sidecar is concerned. It refuses the whole pod for a patch that
 * does not apply or leaves it invalid, whatever the failure policy, so a doubt must end in no patch.
 */
export function isSound(pod: unknown): boolean {
  const shape = shapeOf(pod)
  if (shape === undefined) return false
  const { allContainers, annotations = {}, volumes = [] } = shape
  const sidecars = allContainers.filter(({ name }) => name === CONTAINER_NAME)
  const volumeNames = namesOf(volumes)
  return (
    areUnique(namesOf(allContainers)) &&
    areUnique(volumeNames) &&
    sidecars.length === 1 &&
    sidecars.every(sidecar => mountsAreSound(sidecar, volumeNames)) &&
    annotationBytes(annotations) <= MAX_ANNOTATION_BYTES
  )
}

function mountsAreSound(container: JsonObject, volumeNames: readonly string[]): boolean {
  const mounts = objectsField(container, 'volumeMounts')
  return (
    mounts.every(mount => volumeNames.includes(textField(mount, 'name') ?? '')) &&
    areUnique(mounts.map(mount => textField(mount, 'mountPath') ?? ''))
  )
}

function annotationBytes(annotations: JsonObject): number {
  return Object.entries(annotations).reduce(
    (sum, [key, value]) =>
      sum + Buffer.byteLength(key) + (typeof value === 'string' ? Buffer.byteLength(value) : Infinity),
    0,
  )
}

function namesOf(items: readonly JsonObject[]): string[] {
  return items.map(item => textField(item, 'name') ?? '')
}

function areUnique(names: readonly string[]): boolean {
  return new Set(names).size === names.length
}
