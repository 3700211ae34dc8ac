import { field, isObject, textField, type JsonObject } from '../../webhook/json.ts'
import type { Path } from './text-edits.ts'

/** A pod in a manifest: one of its own, or the template of a workload. */
export interface PodPlace {
  /** Such as `Deployment/gl`, for people. */
  what: string
  namespace: string
  path: Path
  pod: JsonObject
}

const WORKLOADS: readonly string[] = ['Deployment', 'StatefulSet', 'DaemonSet']

/** All pods of one document, in order; of a List those of its items. Other kinds have none that is ours. */
export function podPlaces(document: unknown, path: Path = []): PodPlace[] {
  const kind = textField(document, 'kind') ?? ''
  if (kind === 'List' || kind.endsWith('List')) {
    const items = field(document, 'items')
    return Array.isArray(items) ? items.flatMap((item, index) => podPlaces(item, [...path, 'items', index])) : []
  }
  const metadata = field(document, 'metadata')
  const place = (pod: unknown, at: Path): PodPlace[] =>
    isObject(pod)
      ? [
          {
            what: `${kind}/${textField(metadata, 'name') ?? textField(metadata, 'generateName') ?? ''}`,
            namespace: textField(metadata, 'namespace') ?? 'default',
            path: at,
            pod,
          },
        ]
      : []
  if (kind === 'Pod') return place(document, path)
  return WORKLOADS.includes(kind)
    ? place(field(field(document, 'spec'), 'template'), [...path, 'spec', 'template'])
    : []
}
