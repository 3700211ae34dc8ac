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
  if (!isContainer(object)) return undefined
  // By path: what was copied for one addition takes the next one, too.
  const copies = new Map([['', copyOf(object)]])
  for (const { path, value } of additions) {
    const at = path.lastIndexOf('/')
    const parent = at < 0 ? undefined : copyAt(path.slice(0, at), copies)
    if (parent === undefined || !put(parent, path.slice(at + 1), value)) return undefined
    if (copies.has(path)) forget(path, copies)
  }
  return copies.get('')
}

/** RFC 6901: without leading zeros, so that a place has one path. */
const INDEX = /^(?:0|[1-9]\d*)$/

type Container = unknown[] | Record<string, unknown>

function isContainer(value: unknown): value is Container {
  return typeof value === 'object' && value !== null
}

function copyOf(value: Container): Container {
  return Array.isArray(value) ? [...value] : { ...value }
}

/** The copy of what is at `path`, made and put into the copy of its parent when it is the first; undefined: there is none. */
function copyAt(path: string, copies: Map<string, Container>): Container | undefined {
  const known = copies.get(path)
  if (known !== undefined) return known
  const at = path.lastIndexOf('/')
  const parent = copyAt(path.slice(0, at), copies)
  const key = unescapeKey(path.slice(at + 1))
  // A key that assigning would take for the prototype is none that we emit.
  if (parent === undefined || key === '__proto__') return undefined
  const child = Array.isArray(parent) ? (INDEX.test(key) ? parent[Number(key)] : undefined) : field(parent, key)
  if (!isContainer(child)) return undefined
  const copy = copyOf(child)
  if (Array.isArray(parent)) parent[Number(key)] = copy
  else parent[key] = copy
  copies.set(path, copy)
  return copy
}

/** What was there is replaced, and all below it. */
function forget(path: string, copies: Map<string, Container>): void {
  for (const other of copies.keys()) if (other === path || other.startsWith(`${path}/`)) copies.delete(other)
}

function put(parent: Container, escaped: string, value: unknown): boolean {
  if (Array.isArray(parent)) {
    if (escaped === '-') parent.push(value)
    return escaped === '-'
  }
  const key = unescapeKey(escaped)
  if (key !== '__proto__') parent[key] = value
  return key !== '__proto__'
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
