import { asRecord, asString, clone, isRecord, records, same, type KubeObject } from './values.ts'

/** A JSON patch that does not apply; the message is the server's own. */
export class PatchError extends Error {}

type Container = KubeObject | unknown[]

/**
 * JSON Patch as the API server applies it, which is more lenient than RFC 6902: `replace` of an absent key adds it, `test`
 * of an absent key holds against null, indexes count from the end when negative, a missing value is null.
 */
export function applyJsonPatch(document: unknown, operations: readonly unknown[]): unknown {
  const result = { root: clone(document) }
  for (const operation of operations) applyOperation(result, asRecord(operation) ?? {})
  return result.root
}

function applyOperation(document: { root: unknown }, operation: KubeObject): void {
  const op = asString(operation['op']) ?? 'unknown'
  const path = asString(operation['path']) ?? ''
  const value = clone(operation['value'] ?? null)
  switch (op) {
    case 'add':
      add(document, path, value)
      return
    case 'remove':
      take(document, 'remove', path)
      return
    case 'replace':
      replace(document, path, value)
      return
    case 'test':
      test(document, path, value)
      return
    case 'move': {
      const from = asString(operation['from']) ?? ''
      add(document, path, take(document, 'move', from))
      return
    }
    case 'copy': {
      const from = asString(operation['from']) ?? ''
      const { parent, key } = locate(document, from)
      if (!parent)
        throw new PatchError(`copy operation does not apply: doc is missing from path: "${from}": missing value`)
      add(document, path, clone(read(parent, key)))
      return
    }
    default:
      throw new PatchError(`Unexpected kind: ${op}`)
  }
}

function add(document: { root: unknown }, path: string, value: unknown): void {
  if (path === '') {
    document.root = value
    return
  }
  const { parent, key } = locate(document, path)
  if (!parent) throw new PatchError(`add operation does not apply: doc is missing path: "${path}": missing value`)
  if (!Array.isArray(parent)) {
    parent[key] = value
    return
  }
  const index = key === '-' ? parent.length : indexOf(key, parent.length + 1)
  if (index === undefined) {
    throw new PatchError(
      `error in add for path: '${path}': Unable to access invalid index: ${key}: invalid index referenced`,
    )
  }
  parent.splice(index, 0, value)
}

function take(document: { root: unknown }, op: 'remove' | 'move', path: string): unknown {
  const { parent, key } = locate(document, path)
  if (!parent) throw new PatchError(`${op} operation does not apply: doc is missing path: "${path}": missing value`)
  if (Array.isArray(parent)) {
    const index = indexOf(key, parent.length)
    if (index === undefined) {
      throw new PatchError(
        `error in ${op} for path: '${path}': Unable to access invalid index: ${key}: invalid index referenced`,
      )
    }
    return parent.splice(index, 1)[0]
  }
  if (!Object.hasOwn(parent, key)) {
    throw new PatchError(`error in ${op} for path: '${path}': Unable to remove nonexistent key: ${key}: missing value`)
  }
  const taken = parent[key]
  Reflect.deleteProperty(parent, key)
  return taken
}

function replace(document: { root: unknown }, path: string, value: unknown): void {
  if (path === '') {
    document.root = value
    return
  }
  const { parent, key } = locate(document, path)
  if (!parent) throw new PatchError(`replace operation does not apply: doc is missing path: ${path}: missing value`)
  if (!Array.isArray(parent)) {
    parent[key] = value
    return
  }
  const index = indexOf(key, parent.length)
  if (index === undefined) {
    throw new PatchError(`replace operation does not apply: doc is missing key: ${path}: missing value`)
  }
  parent[index] = value
}

function test(document: { root: unknown }, path: string, value: unknown): void {
  const { parent, key } = path === '' ? { parent: { '': document.root }, key: '' } : locate(document, path)
  if (!parent) throw new PatchError(`test operation does not apply: is missing path: ${path}: missing value`)
  if (!same(read(parent, key) ?? null, value)) throw new PatchError(`testing value ${path} failed: test failed`)
}

function read(parent: Container, key: string): unknown {
  if (!Array.isArray(parent)) return Object.hasOwn(parent, key) ? parent[key] : undefined
  const index = indexOf(key, parent.length)
  return index === undefined ? undefined : parent[index]
}

/** The container of a path's last part. What comes before the first slash is ignored, as the server does. */
function locate(document: { root: unknown }, path: string): { parent: Container | undefined; key: string } {
  const parts = path
    .split('/')
    .slice(1)
    .map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  const key = parts.pop() ?? ''
  let at: unknown = document.root
  for (const part of parts) {
    if (!isRecord(at) && !Array.isArray(at)) return { parent: undefined, key }
    at = read(at as Container, part)
  }
  return { parent: isRecord(at) || Array.isArray(at) ? (at as Container) : undefined, key }
}

function indexOf(key: string, length: number): number | undefined {
  if (!/^-?\d+$/.test(key)) return undefined
  const index = Number(key) < 0 ? Number(key) + length : Number(key)
  return index >= 0 && index < length ? index : undefined
}

/** RFC 7386: null removes a member, lists are replaced as a whole. */
export function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return clone(patch)
  const result = isRecord(target) ? clone(target) : {}
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) Reflect.deleteProperty(result, name)
    else result[name] = applyMergePatch(result[name], value)
  }
  return result
}

/** Lists whose elements a strategic merge patch tells apart by name. */
const MERGED_BY_NAME = new Set(['webhooks', 'containers', 'initContainers', 'volumes', 'env'])

/** A strategic merge patch without directives (`$patch` and the like): the server puts new elements first. */
export function applyStrategicMergePatch(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return clone(patch)
  const result = isRecord(target) ? clone(target) : {}
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) Reflect.deleteProperty(result, name)
    else if (MERGED_BY_NAME.has(name) && Array.isArray(value)) result[name] = mergeByName(result[name], value)
    else result[name] = applyStrategicMergePatch(result[name], value)
  }
  return result
}

function mergeByName(present: unknown, wanted: unknown): KubeObject[] {
  const changes = records(wanted)
  const old = records(present)
  const changed = old.map(element => {
    const change = changes.find(candidate => candidate['name'] === element['name'])
    return change ? (applyStrategicMergePatch(element, change) as KubeObject) : element
  })
  const added = changes.filter(change => !old.some(element => element['name'] === change['name']))
  return [...clone(added), ...changed]
}
