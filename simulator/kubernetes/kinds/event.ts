import { fieldErrors, type FieldError } from '../answers.ts'
import { asNumber, asRecord, asString, metadataOf, same, type KubeObject } from '../values.ts'
import type { Kind } from './kind.ts'
import { readMicroTime } from './micro-time.ts'

/** Events are kept as events.k8s.io/v1 has them; errors name the fields of the older form, as the server's do. */
export const event: Kind = {
  unconditionalUpdate: true,
  createOnUpdate: true,
  countsGenerations: false,
  decode: object => {
    const time = readMicroTime(object['eventTime'], 'Event.eventTime')
    if (time !== null) object['eventTime'] = time
    const series = asRecord(object['series'])
    if (series)
      series['lastObservedTime'] = readMicroTime(series['lastObservedTime'], 'EventSeries.series.lastObservedTime')
    object['deprecatedSource'] ??= {}
    object['deprecatedFirstTimestamp'] ??= null
    object['deprecatedLastTimestamp'] ??= null
  },
  validate: (object, old) => (old ? changedFields(object, old) : createErrors(object)),
}

function createErrors(object: KubeObject): FieldError[] {
  const errors: FieldError[] = []
  const namespace = metadataOf(object)['namespace']
  // A regarding object without a namespace counts as being in none, which is not the event's.
  if (asString(asRecord(object['regarding'])?.['namespace']) === undefined) {
    errors.push(fieldErrors.invalid('involvedObject.namespace', '', 'does not match event.namespace'))
  }
  const required = (name: string) => {
    if (object[name] === undefined || object[name] === '') errors.push(fieldErrors.required(name))
  }
  if (namespace === undefined) errors.push(fieldErrors.required('metadata.namespace'))
  required('eventTime')
  const type = asString(object['type']) ?? ''
  if (type !== 'Normal' && type !== 'Warning') {
    errors.push(fieldErrors.invalid('type', '', `has invalid value: ${type}`))
  }
  required('reportingController')
  required('reportingInstance')
  required('action')
  required('reason')
  const short = (name: string, field: string, max: number) => {
    if ((asString(object[name]) ?? '').length > max) {
      errors.push(fieldErrors.invalid(field, '', `can have at most ${max} characters`))
    }
  }
  short('action', 'action', 128)
  short('reason', 'reason', 128)
  short('note', 'message', 1024)
  return [...errors, ...seriesErrors(object)]
}

function seriesErrors(object: KubeObject): FieldError[] {
  const series = asRecord(object['series'])
  if (!series) return []
  return (asNumber(series['count']) ?? 0) < 2 ? [fieldErrors.invalid('series.count', '', 'should be at least 2')] : []
}

const IMMUTABLE = { note: 'message', reason: 'reason', action: 'action', type: 'type', eventTime: 'eventTime' } as const

function changedFields(object: KubeObject, old: KubeObject): FieldError[] {
  const changed = Object.entries(IMMUTABLE)
    .filter(([name]) => !same(object[name], old[name]))
    .map(([name, field]) => fieldErrors.invalid(field, object[name], 'field is immutable'))
  return [...changed, ...seriesErrors(object)]
}

/** An event as core/v1 shows it. */
export function asCoreEvent(object: KubeObject): KubeObject {
  const { kind, metadata, regarding, note, type, reason, eventTime, series, action } = object
  return {
    kind,
    apiVersion: 'v1',
    metadata,
    involvedObject: regarding ?? {},
    reason,
    message: note,
    source: object['deprecatedSource'] ?? {},
    firstTimestamp: object['deprecatedFirstTimestamp'] ?? null,
    lastTimestamp: object['deprecatedLastTimestamp'] ?? null,
    type,
    eventTime,
    ...(series !== undefined && { series }),
    action,
    reportingComponent: object['reportingController'],
    reportingInstance: object['reportingInstance'],
  }
}
