import type { ServerResponse } from 'node:http'

/** The part of an answer that the server relies on: it cannot deny. */
export interface AdmittingAnswer {
  response: { uid: string; allowed: true }
}

/** What the handler makes of a body: the AdmissionReview to send, or why the body is no review. */
export type ReviewResult = { answer: AdmittingAnswer } | { refused: string }

/** How an HTTP exchange ended; closed, for metrics. `aborted`: the client left before it had the whole answer. */
export const EXCHANGE_OUTCOMES = [
  'answered',
  'failed',
  'bad_request',
  'too_large',
  'media_type',
  'overloaded',
  'aborted',
  'other',
] as const
export type ExchangeOutcome = (typeof EXCHANGE_OUTCOMES)[number]

export interface Exchange<R> {
  outcome: ExchangeOutcome
  /** From the headers' arrival to the last byte of the answer. */
  durationMs: number
  /** What the handler answered, if it was asked and did not throw. */
  result: R | undefined
}

export interface Answered<R> {
  status: number
  /** JSON, the answer's body. */
  text: string
  result: R | undefined
  /** What the handler threw; undefined when it did not. */
  error: unknown
}

/** Asks the handler. A fault of ours must not keep a pod from starting, so that whatever it throws admits. */
export function answerTo<R extends ReviewResult>(body: unknown, review: (body: unknown) => R): Answered<R> {
  try {
    const result = review(body)
    return 'refused' in result
      ? { status: 400, text: JSON.stringify({ error: result.refused }), result, error: undefined }
      : { status: 200, text: JSON.stringify(result.answer), result, error: undefined }
  } catch (thrown) {
    const error: unknown = thrown ?? new Error('the review threw nothing')
    const uid = uidOf(body)
    return uid === undefined
      ? { status: 400, text: JSON.stringify({ error: 'the body is no review with a uid' }), result: undefined, error }
      : { status: 200, text: JSON.stringify(admitUnchanged(uid)), result: undefined, error }
  }
}

export function outcomeOf(response: ServerResponse, failed: boolean): ExchangeOutcome {
  if (!response.writableFinished) return 'aborted'
  if (failed) return 'failed'
  switch (response.statusCode) {
    case 200:
      return 'answered'
    case 400:
      return 'bad_request'
    case 413:
      return 'too_large'
    case 415:
      return 'media_type'
    case 503:
      return 'overloaded'
    default:
      return 'other'
  }
}

function uidOf(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null || !('request' in body)) return undefined
  const { request } = body
  if (typeof request !== 'object' || request === null || !('uid' in request)) return undefined
  return typeof request.uid === 'string' && request.uid !== '' ? request.uid : undefined
}

function admitUnchanged(uid: string) {
  const warnings = ['gitlab-runner-hadr: no sidecar: an internal error of the webhook']
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid, allowed: true, warnings } }
}
