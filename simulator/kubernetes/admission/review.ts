import { asList, asRecord, asString, base64Problem, goTypeOf, isRecord, type KubeObject } from '../values.ts'

/** The webhook was not reached or its answer makes no sense: `failurePolicy` decides. */
export class CallFailed extends Error {}

/** A webhook's answer, understood. */
export interface ReviewAnswer {
  allowed: boolean
  status: KubeObject
  warnings: readonly string[]
  auditAnnotations: Readonly<Record<string, string>>
  patch: string
  patchType: string
}

const GO_TYPE_META = String.raw`struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }`

/** Reads the body of a 2xx answer as the API server does; throws CallFailed in its words. */
export function readReview(body: string, apiVersion: string, uid: string): ReviewAnswer {
  const review = decode(body, apiVersion)
  const response = review['response']
  if (response === undefined || response === null) throw invalid('webhook response was absent')
  if (!isRecord(response)) throw call(`json: cannot unmarshal ${goTypeOf(response)} into Go struct field`)
  checkTypes(response)
  const sentUid = asString(response['uid']) ?? ''
  if (sentUid !== uid) throw invalid(`expected response.uid="${uid}", got "${sentUid}"`)
  const version = asString(review['apiVersion']) ?? ''
  const kind = asString(review['kind']) ?? ''
  if (version !== apiVersion || kind !== 'AdmissionReview') {
    const shown = version === '' ? '/' : version
    throw invalid(`expected webhook response of ${apiVersion}, Kind=AdmissionReview, got ${shown}, Kind=${kind}`)
  }
  const patch = asString(response['patch']) ?? ''
  const patchType = response['patchType'] ?? undefined
  if (patch !== '' && patchType === undefined)
    throw invalid('webhook returned response.patch but not response.patchType')
  if (patch === '' && patchType !== undefined)
    throw invalid('webhook returned response.patchType but not response.patch')
  return {
    allowed: response['allowed'] === true,
    status: asRecord(response['status']) ?? {},
    warnings: asList(response['warnings']).map(String),
    auditAnnotations: Object.fromEntries(
      Object.entries(asRecord(response['auditAnnotations']) ?? {}).map(([key, value]) => [key, asString(value) ?? '']),
    ),
    patch: Buffer.from(patch, 'base64').toString('utf8'),
    patchType: asString(patchType) ?? '',
  }
}

/** The operations of an answer's patch; CallFailed where it is none. */
export function readPatch({ patch, patchType }: ReviewAnswer): unknown[] {
  let operations: unknown
  try {
    operations = JSON.parse(patch)
  } catch {
    throw undecodable(`invalid character '${patch.trim().charAt(0)}' looking for beginning of value`)
  }
  if (!Array.isArray(operations)) {
    throw undecodable(`json: cannot unmarshal ${goTypeOf(operations)} into Go value of type jsonpatch.Patch`)
  }
  if (operations.length > 0 && patchType !== 'JSONPatch') throw new CallFailed(`unsupported patch type "${patchType}"`)
  return operations as unknown[]
}

function decode(body: string, apiVersion: string): KubeObject {
  const text = body.replace(/^\ufeff/, '')
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw call(`couldn't get version/kind; json parse error: ${parseProblem(text)}`)
  }
  if (!isRecord(parsed)) throw call(`couldn't get version/kind; json parse error: ${unmarshalProblem(parsed)}`)
  const version = asString(parsed['apiVersion']) ?? ''
  const kind = asString(parsed['kind']) ?? ''
  if (version !== '' && kind !== '' && kind !== 'AdmissionReview') {
    throw call(
      `no kind "${kind}" is registered for version "${version}" in scheme "k8s.io/apiserver/pkg/util/webhook/client.go:71"`,
    )
  }
  if (version !== '' && kind !== '' && version !== apiVersion) {
    const short = (long: string) => long.replace(/^.*\//, '')
    throw call(
      `converting (${short(version)}.AdmissionReview) to (${short(apiVersion)}.AdmissionReview): unknown conversion`,
    )
  }
  return parsed
}

/** Text that is no JSON is tried as YAML, where any plain text is a string. */
function parseProblem(text: string): string {
  const rest = /^\s*(\{.*\})\s*(\S)/s.exec(text)
  return rest ? `invalid character '${rest[2] ?? ''}' after top-level value` : unmarshalProblem('')
}

function unmarshalProblem(value: unknown): string {
  return `json: cannot unmarshal ${goTypeOf(value)} into Go value of type ${GO_TYPE_META}`
}

function checkTypes(response: KubeObject): void {
  const wrong = (value: unknown, field: string, type: string) =>
    call(
      `json: cannot unmarshal ${goTypeOf(value)} into Go struct field AdmissionResponse.response.${field} of type ${type}`,
    )
  const { allowed, patch, warnings, auditAnnotations } = response
  if (allowed !== undefined && allowed !== null && typeof allowed !== 'boolean') throw wrong(allowed, 'allowed', 'bool')
  if (Array.isArray(patch)) throw wrong(isRecord(patch[0]) ? patch[0] : '', 'patch', 'uint8')
  if (patch !== undefined && patch !== null && typeof patch !== 'string') throw wrong(patch, 'patch', '[]uint8')
  const problem = typeof patch === 'string' ? base64Problem(patch) : undefined
  if (problem !== undefined) throw call(problem)
  for (const value of Object.values(asRecord(auditAnnotations) ?? {})) {
    if (typeof value !== 'string') throw wrong(value, 'auditAnnotations', 'string')
  }
  if (warnings !== undefined && warnings !== null && !Array.isArray(warnings))
    throw wrong(warnings, 'warnings', '[]string')
}

function call(why: string): CallFailed {
  return new CallFailed(`failed to call webhook: ${why}`)
}

function invalid(why: string): CallFailed {
  return new CallFailed(`received invalid webhook response: ${why}`)
}

function undecodable(why: string): CallFailed {
  return new CallFailed(`received undecodable patch in webhook response: ${why}`)
}

/** The first of the versions that a webhook lists and the server knows. */
export function reviewVersion(webhook: KubeObject): string {
  const known = asList(webhook['admissionReviewVersions']).find(version => version === 'v1' || version === 'v1beta1')
  return `admission.k8s.io/${known === 'v1beta1' ? 'v1beta1' : 'v1'}`
}
