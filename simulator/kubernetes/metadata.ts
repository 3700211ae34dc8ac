import { fieldErrors, type FieldError } from './answers.ts'
import { randomSuffix, randomUid, timestamp, type Context } from './context.ts'
import { kindOf } from './kinds/index.ts'
import { apiVersionOf, type Route } from './resources.ts'
import { asNumber, asRecord, asString, metadataOf, same, without, type KubeObject } from './values.ts'

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const SUBDOMAIN_RULE =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
const KEY = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/
const KEY_RULE =
  "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"

/** Names, label and annotation keys of any object. */
export function metadataErrors(object: KubeObject): FieldError[] {
  const metadata = metadataOf(object)
  const name = asString(metadata['name']) ?? ''
  const prefix = asString(metadata['generateName'])
  const keys = (member: string) =>
    Object.keys(asRecord(metadata[member]) ?? {})
      .filter(key => !KEY.test(key))
      .map(key => fieldErrors.invalid(`metadata.${member}`, key, KEY_RULE))
  return [
    ...(prefix?.endsWith('.') === true ? [fieldErrors.invalid('metadata.generateName', prefix, SUBDOMAIN_RULE)] : []),
    ...(name === ''
      ? [fieldErrors.required('metadata.name', 'name or generateName is required')]
      : SUBDOMAIN.test(name)
        ? []
        : [fieldErrors.invalid('metadata.name', name, SUBDOMAIN_RULE)]),
    ...keys('labels'),
    ...keys('annotations'),
  ]
}

/** Fills in what the body may leave out and reads null label values as empty, as Go does. */
export function completeEnvelope(object: KubeObject, { type, namespace, name }: Route): KubeObject {
  const metadata = metadataOf(object)
  if (type.namespaced) metadata['namespace'] ??= namespace
  if (name !== undefined) metadata['name'] ??= name
  for (const member of ['labels', 'annotations']) {
    const values = asRecord(metadata[member])
    for (const [key, value] of Object.entries(values ?? {})) if (values && value === null) values[key] = ''
    if (metadata[member] === null) Reflect.deleteProperty(metadata, member)
  }
  // Who set which field is not kept: server-side apply is not simulated.
  Reflect.deleteProperty(metadata, 'managedFields')
  const { kind, apiVersion, metadata: first, ...rest } = object
  return { kind: kind ?? type.kind, apiVersion: apiVersion ?? apiVersionOf(type), metadata: first, ...rest }
}

/** A new object's name, uid, time and generation. */
export function stampCreation(context: Context, object: KubeObject, { type }: Route): void {
  const metadata = metadataOf(object)
  const prefix = asString(metadata['generateName'])
  if (metadata['name'] === undefined && prefix !== undefined) {
    metadata['name'] = `${prefix}${randomSuffix(context.random)}`
  }
  metadata['uid'] = randomUid(context.random)
  metadata['creationTimestamp'] = timestamp(context.nowMs())
  if (kindOf(type).countsGenerations) metadata['generation'] = 1
}

/** What a client cannot change, and a generation more when it changed anything that counts. */
export function keepIdentity(object: KubeObject, old: KubeObject, { type }: Route): void {
  const metadata = metadataOf(object)
  const before = metadataOf(old)
  for (const name of [
    'uid',
    'creationTimestamp',
    'generation',
    'generateName',
    'deletionTimestamp',
    'resourceVersion',
  ]) {
    if (before[name] === undefined) Reflect.deleteProperty(metadata, name)
    else metadata[name] = before[name]
  }
  const content = (from: KubeObject) => without(from, ['metadata', 'status'])
  if (kindOf(type).countsGenerations && !same(content(object), content(old))) {
    metadata['generation'] = (asNumber(before['generation']) ?? 0) + 1
  }
}
