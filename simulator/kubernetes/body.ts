import { parse as parseYaml } from 'yaml'
import { refusals } from './answers.ts'
import { kindOf } from './kinds/index.ts'
import { DecodeError } from './kinds/kind.ts'
import { unknownFields } from './kinds/pod-fields.ts'
import { completeEnvelope } from './metadata.ts'
import type { Route } from './resources.ts'
import { asRecord, asString, isRecord, metadataOf, type KubeObject } from './values.ts'

const MAX_BYTES = 3 * 1024 * 1024

export function checkSize(body: string): void {
  if (Buffer.byteLength(body) > MAX_BYTES) throw refusals.tooLarge(MAX_BYTES)
}

/** A body of a POST or PUT as an object of the route's kind, decoded and with its defaults; 400 where it is none. */
export function readObject(
  route: Route,
  contentType: string,
  body: string,
  query: URLSearchParams,
): { object: KubeObject; warnings: string[] } {
  const { type, namespace, name } = route
  const object = completeEnvelope(parseObject(type.kind, contentType, body), route)
  const kind = asString(object['kind']) ?? ''
  const version = asString(object['apiVersion'])?.split('/').at(-1) ?? ''
  if (kind !== type.kind) {
    throw refusals.badRequest(
      `${kind} in version "${version}" cannot be handled as a ${type.kind}: converting (${version}.${kind}) to (${type.group === '' ? 'core' : type.group.split('.')[0]}.${type.kind}): unknown conversion`,
    )
  }
  const refused = (why: string) =>
    refusals.badRequest(`${type.kind} in version "${version}" cannot be handled as a ${type.kind}: ${why}`)
  const unknown = type.kind === 'Pod' ? unknownFields(object).map(path => `unknown field "${path}"`) : []
  const validation = query.get('fieldValidation') ?? 'Warn'
  if (validation === 'Strict' && unknown.length > 0) {
    throw refused(`strict decoding error: ${unknown.join(', ')}`)
  }
  try {
    kindOf(type).decode(object)
  } catch (error) {
    throw error instanceof DecodeError ? refused(error.message) : error
  }
  const metadata = metadataOf(object)
  const own = asString(metadata['name'])
  if (name !== undefined && own !== name) {
    throw refusals.badRequest(`the name of the object (${own ?? ''}) does not match the name on the URL (${name})`)
  }
  if (type.namespaced && metadata['namespace'] !== namespace) throw refusals.otherNamespace()
  return { object, warnings: validation === 'Warn' ? unknown : [] }
}

/** DeleteOptions and access reviews: an object or nothing. */
export function readOptions(body: string): KubeObject {
  return body === '' ? {} : (asRecord(parseText(body)) ?? {})
}

function parseObject(kind: string, contentType: string, body: string): KubeObject {
  const media = contentType.split(';')[0]?.trim()
  if (media === 'application/yaml') return asRecord(parseYaml(body)) ?? {}
  if (media !== undefined && media !== '' && media !== 'application/json') {
    throw refusals.unsupportedMedia(
      'the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf',
    )
  }
  const parsed = parseText(body)
  if (isRecord(parsed)) return parsed
  throw refusals.badRequest(
    `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; json parse error: unexpected end of JSON input (${body.slice(0, 100)})`,
  )
}

export function parseText(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
