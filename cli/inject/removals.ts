import { findSidecar } from '../../webhook/inject.ts'
import { field, objectsField, textField, type JsonObject } from '../../webhook/json.ts'
import {
  CONTAINER_NAME,
  DEFAULT_CONTAINER_ANNOTATION,
  INJECTED_ANNOTATION,
  NO_TOKEN_VOLUME,
  TOKEN_VOLUME,
} from '../../webhook/names.ts'
import { readRecord, type Added } from '../../webhook/record.ts'
import { shapeOf } from '../../webhook/shape.ts'
import type { Path } from './text-edits.ts'

/**
 * What to take out of a pod so that it is as before its sidecar, the last first, since each moves the indexes behind it.
 * The container and its volumes are known by their names; the rest goes only when our record says that we put it there,
 * and a list only when it is empty then and was absent before.
 */
export function removalsFrom(pod: JsonObject): Path[] {
  const shape = shapeOf(pod)
  const sidecar = shape === undefined ? 'taken' : findSidecar(shape)
  if (sidecar === 'taken') return []
  const annotations = field(field(pod, 'metadata'), 'annotations')
  if (sidecar === undefined && field(annotations, INJECTED_ANNOTATION) === undefined) return []
  const record = readRecord(annotations)
  const spec = field(pod, 'spec')
  const kinds = ['containers', 'initContainers'] as const
  const volumes = indexesOf(spec, 'volumes', ({ name }) => name === TOKEN_VOLUME || name === NO_TOKEN_VOLUME)
  const removals = [
    ...variablesOf(spec, record),
    ...kinds.flatMap(kind =>
      listRemovals(
        spec,
        ['spec', kind],
        indexesOf(spec, kind, container => container === sidecar),
        record,
      ),
    ),
    ...listRemovals(spec, ['spec', 'volumes'], volumes, record),
  ]
  const ours = [INJECTED_ANNOTATION, ...(record.includes('default-container') ? [DEFAULT_CONTAINER_ANNOTATION] : [])]
  const present = ours.filter(key => field(annotations, key) !== undefined)
  const isEmptied = Object.keys(annotations ?? {}).length === present.length
  if (isEmptied && record.includes('list:annotations')) return [...removals, ['metadata', 'annotations']]
  return [...removals, ...present.map(key => ['metadata', 'annotations', key])]
}

function indexesOf(parent: unknown, key: string, matches: (item: JsonObject) => boolean): number[] {
  return objectsField(parent, key).flatMap((item, index) => (matches(item) ? [index] : []))
}

function listRemovals(parent: unknown, path: Path, indexes: readonly number[], record: readonly Added[]): Path[] {
  const key = String(path.at(-1))
  if (indexes.length === 0) return []
  const isEmptied = objectsField(parent, key).length === indexes.length
  if (isEmptied && record.some(entry => entry === `list:${key}`)) return [path]
  return indexes.toReversed().map(index => [...path, index])
}

function variablesOf(spec: unknown, record: readonly Added[]): Path[] {
  return objectsField(spec, 'containers').flatMap((container, index) => {
    const name = textField(container, 'name') ?? ''
    if (name === CONTAINER_NAME || !record.includes(`variable:${name}`)) return []
    const ours = indexesOf(container, 'env', variable => variable['name'] === 'LISTEN_ADDRESS')
    return listRemovals(container, ['spec', 'containers', index, 'env'], ours, record)
  })
}
