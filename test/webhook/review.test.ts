import fc from 'fast-check'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { review, sentenceFor, type Reviewed, type ReviewOptions } from '../../webhook/review.ts'
import { decideOptions } from './pods.ts'

/** Bodies of reviews as a real API server sent them. */
const FOLDER = 'test/recordings/kubernetes/admission-reviews'
const bodies = new Map(
  readdirSync(FOLDER).map(file => [file.replace(/\.json$/, ''), readFileSync(join(FOLDER, file), 'utf8')]),
)
const OPTIONS: ReviewOptions = { ...decideOptions(), digest: '0123456789ab' }
const recorded = (name: string): Record<string, unknown> => JSON.parse(bodies.get(name) ?? '') as never
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
  const text = (bodies.get('dry-run') ?? '').replace('"spec":{', `"spec":{"deep":${deep},`)
  t.match(answer(JSON.parse(text)), { outcome: { kind: 'injected' } })
  t.end()
})

t.test('10,000 mutated and random reviews: no crash, no denial, no fault', t => {
  const reviews = [...bodies.values()].map(text => JSON.parse(text) as unknown)
  const strange = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(null, '', 0, true, [], {}, [null], '__proto__', 'Always', 2 ** 60) },
    { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
  )
  // Most edits are made below the pod; without bias, or nearly all would hit the first key.
  const step = fc.noBias(fc.nat())
  const below = (...start: string[]) =>
    fc.array(step, { minLength: 1, maxLength: 6 }).map(steps => [...start, ...steps])
  const edit = fc.record({
    steps: fc.oneof(
      { weight: 8, arbitrary: below('request', 'object') },
      { weight: 2, arbitrary: below('request') },
      { weight: 1, arbitrary: below() },
    ),
    value: fc.option(strange),
  })
  const input = fc.oneof(
    { weight: 1, arbitrary: strange },
    {
      weight: 20,
      arbitrary: fc.tuple(fc.nat(), fc.array(edit, { minLength: 1, maxLength: 3 })),
    },
  )
  let answered = 0
  let injected = 0
  fc.assert(
    fc.property(input, given => {
      const mutated = isMutation(given)
        ? given[1].reduce(
            (value, { steps, value: put }) => replaceAt(value, steps, put),
            reviews[given[0] % reviews.length],
          )
        : given
      const result = review(mutated, OPTIONS)
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

interface Edit {
  steps: (string | number)[]
  value: unknown
}

function isMutation(value: unknown): value is [number, Edit[]] {
  return Array.isArray(value) && value.length === 2 && typeof value[0] === 'number' && Array.isArray(value[1])
}

/** A copy in which one place, found by walking `steps`, holds `put`; undefined takes the place out. */
function replaceAt(value: unknown, [step, ...rest]: readonly (string | number)[], put: unknown): unknown {
  if (step === undefined || typeof value !== 'object' || value === null) return put
  const keys = Object.keys(value)
  const key = typeof step === 'string' ? step : keys[step % keys.length]
  if (key === undefined || (Array.isArray(value) && !(Number(key) < value.length))) return put
  const child = replaceAt((value as Record<string, unknown>)[key], rest, put)
  if (Array.isArray(value)) return value.with(Number(key), child)
  return { ...value, [key]: child }
}
