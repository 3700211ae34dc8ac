import type { AddOperation } from 'fast-json-patch'
import { field, isObject, objectsField, textField, type JsonObject } from './json.ts'
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
  return additions.reduce<unknown>((result, { path, value }) => {
    const keys = path.split('/').slice(1)
    return addAt(
      result,
      keys.map(key => key.replaceAll('~1', '/').replaceAll('~0', '~')),
      value,
    )
  }, object)
}

function addAt(parent: unknown, [key, ...rest]: readonly string[], value: unknown): unknown {
  if (key === undefined || parent === undefined) return undefined
  if (Array.isArray(parent)) {
    const items: readonly unknown[] = parent
    if (rest.length === 0) return key === '-' ? [...items, value] : undefined
    const item = addAt(items[Number(key)], rest, value)
    return item === undefined ? undefined : items.with(Number(key), item)
  }
  if (!isObject(parent)) return undefined
  const child = rest.length === 0 ? value : addAt(field(parent, key), rest, value)
  return child === undefined ? undefined : { ...parent, [key]: child }
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
