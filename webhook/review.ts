import type { Addition } from './check.ts'
import { decide, type DecideOptions } from './decide.ts'
import { field, isObject, objectsField, textField, type JsonObject } from './json.ts'
import { SKIP_REASONS, warningFor, type SkipReason } from './reasons.ts'
import type { TargetRequest } from './target.ts'
import { jsonOf } from './template.ts'

export interface ReviewOptions extends DecideOptions {
  /** Tells in the audit log with which configuration a pod was injected. */
  digest: string
}

/** The answer as it is sent: `admission.k8s.io/v1`. It never denies. */
export interface AdmissionReview {
  apiVersion: typeof API_VERSION
  kind: 'AdmissionReview'
  response: {
    uid: string
    allowed: true
    patchType?: 'JSONPatch'
    /** Base64 of the JSON text. */
    patch?: string
    warnings?: string[]
    auditAnnotations: Record<string, string>
  }
}

export type Outcome =
  | { kind: 'injected'; native: boolean }
  | { kind: 'skipped'; reason: SkipReason }
  /** A fault of ours: the pod is admitted as it is. */
  | { kind: 'failed'; error: unknown }

/** Whom a request is about, for one log line. A pod that has no name yet goes by its prefix and a star. */
export interface Subject {
  uid: string
  operation: string
  namespace: string
  pod: string
  owner: string | undefined
  dryRun: boolean
}

export type Reviewed =
  | { answer: AdmissionReview; outcome: Outcome; subject: Subject; warnings: readonly string[] }
  /** What was sent is no review of a version we know, and why: there is nothing to answer to. */
  | { refused: string }

const API_VERSION = 'admission.k8s.io/v1'

/**
 * Answers one AdmissionReview, as JSON parsed. Pure and without side effects, so that dry runs need no care; whatever
 * happens, a request that can be answered is answered with `allowed: true`.
 */
export function review(input: unknown, options: ReviewOptions): Reviewed {
  if (!isObject(input) || field(input, 'kind') !== 'AdmissionReview') return { refused: 'this is no AdmissionReview' }
  if (field(input, 'apiVersion') !== API_VERSION) return { refused: `the review's apiVersion is not ${API_VERSION}` }
  const request = field(input, 'request')
  const uid = textField(request, 'uid') ?? ''
  if (!isObject(request) || uid === '') return { refused: 'the review has no request with a uid' }
  const subject = subjectOf(uid, request)
  try {
    const decision = decide(field(request, 'object'), requestOf(request), options)
    return 'skip' in decision ? skipped(subject, decision.skip, options) : patched(subject, decision, options)
  } catch (error) {
    return failed(subject, error, options)
  }
}

function patched(
  subject: Subject,
  { patch, native, warnings }: { patch: readonly Addition[]; native: boolean; warnings: readonly string[] },
  { digest }: ReviewOptions,
): Reviewed {
  const fields = { patchType: 'JSONPatch', patch: Buffer.from(patchText(patch)).toString('base64') } as const
  const audit = { outcome: 'injected', mode: native ? 'native' : 'container', config: digest }
  return allowed(subject, { kind: 'injected', native }, audit, warnings, fields)
}

function patchText(patch: readonly Addition[]): string {
  const operations = patch.map(
    ({ path, value }) => `{"op":"add","path":${JSON.stringify(path)},"value":${jsonOf(value)}}`,
  )
  return `[${operations.join(',')}]`
}

function skipped(subject: Subject, reason: SkipReason, { digest }: ReviewOptions): Reviewed {
  const warning = warningFor(reason)
  const audit = { outcome: 'skipped', reason, config: digest }
  return allowed(subject, { kind: 'skipped', reason }, audit, warning === undefined ? [] : [warning])
}

function failed(subject: Subject, error: unknown, { digest }: ReviewOptions): Reviewed {
  const audit = { outcome: 'failed', config: digest }
  return allowed(subject, { kind: 'failed', error }, audit, ['no sidecar: an internal error of the webhook'])
}

function allowed(
  subject: Subject,
  outcome: Outcome,
  auditAnnotations: Record<string, string>,
  told: readonly string[],
  patch: Pick<AdmissionReview['response'], 'patch' | 'patchType'> = {},
): Reviewed {
  const warnings = told.slice(0, MAX_WARNINGS).map(warningText)
  return {
    answer: {
      apiVersion: API_VERSION,
      kind: 'AdmissionReview',
      response: {
        uid: subject.uid,
        allowed: true,
        ...patch,
        ...(warnings.length === 0 ? {} : { warnings }),
        auditAnnotations,
      },
    },
    outcome,
    subject,
    warnings,
  }
}

/** Kubernetes cuts what is longer in sum, and drops a warning with a control character whole. */
const MAX_WARNINGS = 10
const MAX_WARNING_LENGTH = 160

function warningText(text: string): string {
  return `gitlab-runner-hadr: ${text}`.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_WARNING_LENGTH)
}

function requestOf(request: JsonObject): TargetRequest {
  const kind = field(request, 'kind')
  return {
    operation: textField(request, 'operation') ?? '',
    group: textField(kind, 'group') ?? '',
    version: textField(kind, 'version') ?? '',
    kind: textField(kind, 'kind') ?? '',
    subResource: textField(request, 'subResource') ?? '',
    namespace: textField(request, 'namespace') ?? '',
  }
}

function subjectOf(uid: string, request: JsonObject): Subject {
  const metadata = field(field(request, 'object'), 'metadata')
  const prefix = textField(metadata, 'generateName')
  const generated = prefix === undefined ? '' : `${prefix}*`
  const owner = objectsField(metadata, 'ownerReferences').find(({ controller }) => controller === true)
  return {
    uid,
    operation: textField(request, 'operation') ?? '',
    namespace: textField(request, 'namespace') ?? '',
    pod: textField(request, 'name') ?? textField(metadata, 'name') ?? generated,
    owner: owner && `${textField(owner, 'kind') ?? ''}/${textField(owner, 'name') ?? ''}`,
    dryRun: field(request, 'dryRun') === true,
  }
}

/** One plain sentence for the log, with the words that metric, audit annotation and warning use too. */
export function sentenceFor(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'injected':
      return 'the pod is given its sidecar'
    case 'skipped':
      return SKIP_REASONS[outcome.reason]
    case 'failed':
      return 'an internal error; the pod is admitted as it is'
  }
}

/** The same for machines: both are closed sets, and the pair tells outcomes apart in metrics and log alike. */
export function labelsFor(outcome: Outcome): { result: Outcome['kind']; reason: string } {
  switch (outcome.kind) {
    case 'injected':
      return { result: 'injected', reason: outcome.native ? 'native' : 'container' }
    case 'skipped':
      return { result: 'skipped', reason: outcome.reason }
    case 'failed':
      return { result: 'failed', reason: 'internalError' }
  }
}
