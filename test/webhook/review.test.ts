import fc from 'fast-check'
import t from 'tap'
import { review, sentenceFor, type Reviewed, type ReviewOptions } from '../../webhook/review.ts'
import { decideOptions } from './pods.ts'
import { mutatedReviews, recordedBodies } from './reviews.ts'

const OPTIONS: ReviewOptions = { ...decideOptions(), digest: '0123456789ab' }
const recorded = (name: string): Record<string, unknown> => JSON.parse(recordedBodies.get(name) ?? '') as never
const answer = (input: unknown, options = OPTIONS): Exclude<Reviewed, { refused: string }> => {
  const result = review(input, options)
  if ('refused' in result) throw new Error(result.refused)
  return result
}

t.test('a runner of the chart is given its sidecar', t => {
  const { answer: sent, outcome, subject } = answer(recorded('chart-default-release'))
  t.strictSame(outcome, { kind: 'injected', native: false })
  t.match(sent, {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: {
      uid: 'b430ba44-b3ca-4d83-9a0a-57828d632bd4',
      allowed: true,
      patchType: 'JSONPatch',
      auditAnnotations: { outcome: 'injected', mode: 'container', config: '0123456789ab' },
    },
  })
  t.match(JSON.parse(Buffer.from(sent.response.patch ?? '', 'base64').toString()), [
    { op: 'add', path: '/spec/volumes/-' },
    { op: 'add', path: '/spec/volumes/-' },
    { op: 'add', path: '/spec/containers/-', value: { name: 'gitlab-runner-hadr' } },
  ])
  t.notHas(sent.response, { warnings: [] })
  t.strictSame(subject, {
    uid: 'b430ba44-b3ca-4d83-9a0a-57828d632bd4',
    operation: 'CREATE',
    namespace: 'team-runners',
    pod: 'gl-gitlab-runner-5b9c5c4cbf-*',
    owner: 'ReplicaSet/gl-gitlab-runner-5b9c5c4cbf',
    dryRun: false,
  })
  t.end()
})

const outcomes: Record<string, string> = {
  'operator-runner': 'injected',
  'generate-name': 'injected',
  'dry-run': 'injected',
  'int64-large': 'injected',
  'invalid-annotation-keys': 'injected',
  'namespace-not-opted-in': 'injected',
  'no-containers': 'malformedPod',
  'job-17.8-spoofed': 'ciJobPod',
  'pause-pod': 'pausePod',
  'mirror-annotated': 'mirrorPod',
  'host-network': 'hostNetwork',
  'our-label-disabled': 'optedOut',
  'labels-null': 'notRunner',
  'update-put': 'notPodCreation',
  'status-update': 'notPodCreation',
  'ephemeral-containers': 'notPodCreation',
  resize: 'notPodCreation',
  binding: 'notPodCreation',
  eviction: 'notPodCreation',
  'exec-connect': 'notPodCreation',
  'delete.1': 'notPodCreation',
  'delete-collection.1': 'notPodCreation',
}

for (const [name, expected] of Object.entries(outcomes)) {
  t.test(`the recorded review ${name} ends as ${expected}`, t => {
    const { answer: sent, outcome } = answer(recorded(name))
    t.equal(outcome.kind === 'skipped' ? outcome.reason : outcome.kind, expected)
    t.equal(sent.response.allowed, true)
    t.equal(sent.response.patch === undefined, expected !== 'injected')
    t.equal(sent.response.auditAnnotations['reason'], expected === 'injected' ? undefined : expected)
    t.ok(sentenceFor(outcome).length > 10)
    t.end()
  })
}

t.test('a dry run is told apart, and answered like any other', t => {
  t.equal(answer(recorded('dry-run')).subject.dryRun, true)
  t.end()
})

t.test('a surprising reason is told to the user, a usual one is not', t => {
  t.match(answer(recorded('host-network')).answer.response.warnings, [
    /^gitlab-runner-hadr: no sidecar: the pod is on the network of its host/,
  ])
  t.equal(answer(recorded('pause-pod')).answer.response.warnings, undefined)
  t.end()
})

t.test('an internal error admits the pod as it is, and says so', t => {
  const broken: ReviewOptions = {
    ...OPTIONS,
    get sidecar(): never {
      throw new Error('out of luck')
    },
  }
  const { answer: sent, outcome } = answer(recorded('chart-default-release'), broken)
  t.match(outcome, { kind: 'failed', error: { message: 'out of luck' } })
  t.strictSame(sent.response, {
    uid: 'b430ba44-b3ca-4d83-9a0a-57828d632bd4',
    allowed: true,
    warnings: ['gitlab-runner-hadr: no sidecar: an internal error of the webhook'],
    auditAnnotations: { outcome: 'failed', config: '0123456789ab' },
  })
  t.match(sentenceFor(outcome), /internal error/)
  t.end()
})

t.test('what is no review is refused with a reason', t => {
  const whole = recorded('dry-run')
  const refusals: [unknown, RegExp][] = [
    [null, /no AdmissionReview/],
    [[], /no AdmissionReview/],
    ['AdmissionReview', /no AdmissionReview/],
    [{ ...whole, kind: 'Pod' }, /no AdmissionReview/],
    [{ ...whole, apiVersion: 'admission.k8s.io/v1beta1' }, /apiVersion/],
    [{ ...whole, request: null }, /no request/],
    [{ ...whole, request: { uid: '' } }, /no request/],
    [{ ...whole, request: { uid: 7 } }, /no request/],
  ]
  for (const [input, reason] of refusals) t.match(review(input, OPTIONS), { refused: reason })
  t.end()
})

t.test('warnings are short lines of plain characters, whatever the annotations are called', t => {
  const input = structuredClone(recorded('dry-run')) as { request: { object: { metadata: Record<string, unknown> } } }
  input.request.object.metadata['annotations'] = Object.fromEntries(
    Array.from({ length: 40 }, (_, index) => [`gitlab-runner-hadr.io/é\n${index}${'x'.repeat(300)}`, 'v']),
  )
  const { warnings } = answer(input)
  t.equal(warnings.length, 10)
  for (const warning of warnings) t.match(warning, /^[\x20-\x7e]{20,160}$/)
  t.end()
})

t.test('a deeply nested pod is answered', t => {
  const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`
  const text = (recordedBodies.get('dry-run') ?? '').replace('"spec":{', `"spec":{"deep":${deep},`)
  t.match(answer(JSON.parse(text)), { outcome: { kind: 'injected' } })
  t.end()
})

t.test('10,000 mutated and random reviews: no crash, no denial, no fault', t => {
  let answered = 0
  let injected = 0
  fc.assert(
    fc.property(mutatedReviews, given => {
      const result = review(given, OPTIONS)
      if ('refused' in result) return
      answered += 1
      if (result.outcome.kind === 'injected') injected += 1
      if (result.outcome.kind === 'failed') throw result.outcome.error
      if (!JSON.stringify(result.answer).includes('"allowed":true')) throw new Error('denied')
    }),
    { numRuns: 10_000 },
  )
  t.ok(answered > 6_000, `${answered} were answered`)
  t.ok(injected > 1_000, `${injected} were injected`)
  t.end()
})
