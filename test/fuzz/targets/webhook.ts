import fc from 'fast-check'
import { applyAdditions, isSound, type Addition } from '../../../webhook/check.ts'
import { parseBody } from '../../../webhook/body.ts'
import { answerTo } from '../../../webhook/exchange.ts'
import { review, type ReviewOptions } from '../../../webhook/review.ts'
import { mutatedTexts } from '../../support/mutations.ts'
import { withRfc6902 } from '../../support/patch-engines.ts'
import { decideOptions } from '../../webhook/pods.ts'
import { mutatedReviews, recordedBodies } from '../../webhook/reviews.ts'
import type { FuzzTarget } from '../target.ts'

const OPTIONS: ReviewOptions = { ...decideOptions(), digest: '0123456789ab' }

interface Response {
  response: { uid: string; allowed: boolean; patch?: string }
}

/** Bodies of requests to the webhook: nothing crashes it, nothing is denied, and what it adds can be added, once. */
export const webhook: FuzzTarget = {
  name: 'webhook',
  input: fc.oneof(
    { weight: 8, arbitrary: mutatedReviews.map(given => JSON.stringify(given)) },
    { weight: 2, arbitrary: mutatedTexts([...recordedBodies.values()], ['__proto__', 'null', '{}', '[[[[', '1e999']) },
  ),
  check: input => {
    const body = parseBody(Buffer.from(input))
    if ('problem' in body) return 'no JSON'
    const { status, text, error } = answerTo(body.value, given => review(given, OPTIONS))
    if (error !== undefined) throw new Error('the review threw', { cause: error })
    if (status === 400) return 'no review'
    const { response } = JSON.parse(text) as Response
    if (!response.allowed) throw new Error('denied')
    if (text.includes('"outcome":"failed"')) throw new Error('an internal error')
    if (response.patch === undefined) return 'skipped'
    checkPatch(body.value as { request: { object: unknown } }, response.patch)
    return 'injected'
  },
}

function checkPatch({ request }: { request: { object: unknown } }, base64: string): void {
  const patch = JSON.parse(Buffer.from(base64, 'base64').toString()) as Addition[]
  const made = withRfc6902(request.object, patch)
  if (JSON.stringify(made) !== JSON.stringify(applyAdditions(request.object, patch))) throw new Error('engines differ')
  if (!isSound(made)) throw new Error('the patched pod is not sound')
  const again = review(
    { kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1', request: { ...request, object: made } },
    OPTIONS,
  )
  if ('refused' in again || again.answer.response.patch !== undefined) throw new Error('the second call adds again')
}
