import { fieldErrors, json, refusals, refuse, Refusal, type Answer } from './answers.ts'
import { admitPod } from './admission/admit.ts'
import type { Account } from './access.ts'
import { checkSize, parseText, readObject, readOptions } from './body.ts'
import type { Context } from './context.ts'
import { timestamp } from './context.ts'
import { SCALE, scaleOf, withScale } from './kinds/deployment.ts'
import { kindOf } from './kinds/index.ts'
import { DecodeError } from './kinds/kind.ts'
import { qosClass } from './kinds/pod.ts'
import { completeEnvelope, keepIdentity, metadataErrors, stampCreation } from './metadata.ts'
import { applyJsonPatch, applyMergePatch, applyStrategicMergePatch, PatchError } from './patch.ts'
import { RESOURCES, type Route } from './resources.ts'
import { asRecord, asString, clone, metadataOf, nameOf, same, versionOf, type KubeObject } from './values.ts'
import { collectWarnings } from './warnings.ts'

/** One request that writes. */
export interface Write {
  route: Route
  account: Account
  query: URLSearchParams
  contentType: string
  body: string
}

export async function createObject(context: Context, write: Write): Promise<Answer> {
  checkSize(write.body)
  const { route, query } = write
  const { type, namespace } = route
  const read = readObject(route, write.contentType, write.body, query)
  if (type.namespaced && !context.store.has(RESOURCES.namespaces, '', namespace)) {
    throw refusals.notFound(RESOURCES.namespaces, namespace)
  }
  if (versionOf(read.object) !== '') {
    throw refuse({ message: 'resourceVersion should not be set on objects to be created', code: 500 })
  }
  const warnings = [...read.warnings]
  try {
    const object = type.kind === 'Pod' ? await admitPod(context, write, read.object, warnings) : read.object
    stampCreation(context, object, route)
    if (type.kind === 'Pod') object['status'] = { phase: 'Pending', qosClass: qosClass(object) }
    const errors = [...metadataErrors(object), ...kindOf(type).validate(object, undefined)]
    if (errors.length > 0) throw refusals.invalid(shownOf(route), nameOf(object), errors)
    warnings.push(...(kindOf(type).warnings?.(object) ?? []))
    const name = nameOf(object)
    if (context.store.has(type, namespace, name)) throw refusals.alreadyExists(type, name)
    const stored = isDryRun(query) ? object : context.store.put(type, namespace, name, object)
    return { ...json(201, stored), warnings: collectWarnings(warnings) }
  } catch (error) {
    if (error instanceof Refusal && warnings.length > 0) {
      throw new Refusal({ ...error.answer, warnings: collectWarnings(warnings) }, error.message)
    }
    throw error
  }
}

export async function replaceObject(context: Context, write: Write): Promise<Answer> {
  checkSize(write.body)
  const { route, query } = write
  if (route.subresource === 'scale') return replaceScale(context, write)
  const { type, namespace, name = '' } = route
  const { object, warnings } = readObject(route, write.contentType, write.body, query)
  const old = context.store.get(type, namespace, name)
  if (!old) {
    if (!kindOf(type).createOnUpdate) throw refusals.notFound(type, name)
    Reflect.deleteProperty(metadataOf(object), 'resourceVersion')
    return createObject(context, { ...write, body: JSON.stringify(object), contentType: 'application/json' })
  }
  if (versionOf(object) === '' && !kindOf(type).unconditionalUpdate) {
    throw refusals.invalid({ group: type.group, kind: type.plural }, name, [
      fieldErrors.invalid('metadata.resourceVersion', 0, 'must be specified for an update'),
    ])
  }
  return store(context, write, object, old, warnings)
}

export async function patchObject(context: Context, write: Write): Promise<Answer> {
  checkSize(write.body)
  const { route } = write
  const { type, namespace, name = '' } = route
  const apply = patcherOf(write)
  const old = context.store.get(type, namespace, name)
  if (!old) throw refusals.notFound(type, name)
  if (route.subresource === 'scale') {
    const scale = applied(apply, scaleOf(old))
    return storeScale(context, write, old, scale, () => undecodable(scale))
  }
  const object = completeEnvelope(applied(apply, old), route)
  try {
    kindOf(type).decode(object)
  } catch (error) {
    throw error instanceof DecodeError ? undecodable(object)(error) : error
  }
  return Promise.resolve(store(context, write, object, old, []))
}

export function deleteObject(context: Context, { route, query, body }: Write): Answer {
  const { type, namespace, name = '' } = route
  const old = context.store.get(type, namespace, name)
  if (!old) throw refusals.notFound(type, name)
  const wanted = asString(asRecord(readOptions(body)['preconditions'])?.['resourceVersion'])
  if (wanted !== undefined && wanted !== versionOf(old)) {
    throw refusals.precondition(type, name, wanted, versionOf(old))
  }
  const { group, plural } = type
  const uid = metadataOf(old)['uid']
  if (!isDryRun(query)) {
    if (type.kind === 'Pod') {
      // No kubelet ever ran it, so the grace period is zero and the deletion follows at once.
      const dying = clone(old)
      Object.assign(metadataOf(dying), { deletionTimestamp: timestamp(context.nowMs()), deletionGracePeriodSeconds: 0 })
      context.store.put(type, namespace, name, dying)
    }
    context.store.remove(type, namespace, name)
  }
  if (type.kind === 'Pod') return json(200, old)
  const details = { name, ...(group !== '' && { group }), kind: plural, uid }
  return json(200, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details })
}

function store(
  context: Context,
  { route, query }: Write,
  object: KubeObject,
  old: KubeObject,
  warned: string[],
): Answer {
  const { type, namespace, name = '' } = route
  const wanted = versionOf(object)
  if (wanted !== '' && wanted !== versionOf(old)) throw refusals.modified(type, name)
  const status = route.subresource === 'status'
  const merged = status
    ? { ...old, status: object['status'] }
    : { ...object, ...(type.kind === 'Pod' && statusOf(old)) }
  keepIdentity(merged, old, route)
  const errors = status ? [] : [...metadataErrors(merged), ...kindOf(type).validate(merged, old)]
  if (errors.length > 0) throw refusals.invalid(shownOf(route), name, errors)
  const warnings = collectWarnings([...warned, ...(kindOf(type).warnings?.(merged) ?? [])])
  if (same(merged, old) || isDryRun(query)) return { ...json(200, merged), warnings }
  return { ...json(200, context.store.put(type, namespace, name, merged)), warnings }
}

/** Only the status subresource writes a pod's status. */
function statusOf(old: KubeObject): KubeObject {
  return old['status'] === undefined ? {} : { status: old['status'] }
}

function replaceScale(context: Context, write: Write): Answer {
  const { type, namespace, name = '' } = write.route
  const old = context.store.get(type, namespace, name)
  if (!old) throw refusals.notFound(type, name)
  const scale = asRecord(parseText(write.body)) ?? {}
  return storeScale(context, write, old, scale, () => error => refusals.badRequest(error.message))
}

function storeScale(
  context: Context,
  { route, query }: Write,
  old: KubeObject,
  scale: KubeObject,
  onDecode: () => (error: DecodeError) => Refusal,
): Answer {
  const { type, namespace, name = '' } = route
  const wanted = versionOf(scale)
  if (wanted !== '' && wanted !== versionOf(old)) throw refusals.modified(type, name)
  let object: KubeObject
  try {
    object = withScale(clone(old), scale)
  } catch (error) {
    throw error instanceof DecodeError ? onDecode()(error) : error
  }
  keepIdentity(object, old, route)
  const errors = kindOf(type).validate(object, old)
  if (errors.length > 0) throw refusals.invalid(SCALE, name, errors)
  const stored = same(object, old) || isDryRun(query) ? object : context.store.put(type, namespace, name, object)
  return json(200, scaleOf(stored))
}

function patcherOf({ contentType, body }: Write): (target: KubeObject) => unknown {
  const media = contentType.split(';')[0]?.trim()
  const patch = parseText(body)
  switch (media) {
    case 'application/json-patch+json':
      if (!Array.isArray(patch)) throw refusals.badRequest('json: cannot unmarshal object into Go value of type []map')
      return target => applyJsonPatch(target, patch as unknown[])
    case 'application/merge-patch+json':
      return target => applyMergePatch(target, patch)
    case 'application/strategic-merge-patch+json':
      return target => applyStrategicMergePatch(target, patch)
    case 'application/apply-patch+yaml':
      throw refusals.unsupportedMedia('the simulated API server knows no server-side apply', {})
    default:
      throw refusals.unsupportedMedia('415: Unsupported Media Type', {})
  }
}

function applied(apply: (target: KubeObject) => unknown, old: KubeObject): KubeObject {
  try {
    return asRecord(apply(old)) ?? {}
  } catch (error) {
    throw error instanceof PatchError ? refusals.patchRejected() : error
  }
}

/** A patch whose result cannot be decoded: the whole object is in the message. */
function undecodable(object: KubeObject): (error: DecodeError) => Refusal {
  return error =>
    refusals.invalid({ group: '', kind: '' }, '', [fieldErrors.invalid('patch', JSON.stringify(object), error.message)])
}

/** Events are refused under their older group, which is core. */
function shownOf({ type }: Route): { group: string; kind: string } {
  return type.kind === 'Event' ? { group: '', kind: 'Event' } : { group: type.group, kind: type.kind }
}

export function isDryRun(query: URLSearchParams): boolean {
  return query.getAll('dryRun').includes('All')
}
