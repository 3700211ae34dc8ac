import { readFileSync } from 'node:fs'
import t from 'tap'
import { matchesLabels, requirementsOf } from '../../simulator/kubernetes/selectors.ts'
import { asRecord, labelsOf, records } from '../../simulator/kubernetes/values.ts'
import { applyAdditions } from '../../webhook/check.ts'
import { MATCH_CONDITIONS, namespaceRequirements, OBJECT_REQUIREMENTS } from '../../webhook/conditions.ts'
import type { SkipReason } from '../../webhook/reasons.ts'
import { evaluateCel, evaluateCondition } from '../support/cel.ts'
import { readObjects } from '../support/kubectl.ts'
import { readRecording, type Body } from '../support/recordings.ts'
import { asArrived, readPodCases } from '../webhook/pods.ts'

const [policy = {}, binding = {}] = readObjects(readFileSync('manifests/components/missed-pods/policy.yaml', 'utf8'))
const [recordedPolicy = {}, recordedBinding = {}] = readObjects(
  readFileSync('test/recordings/kubernetes/policies/validatingadmissionpolicy.yaml', 'utf8'),
)
const spec = asRecord(policy['spec']) ?? {}
const recordedSpec = asRecord(recordedPolicy['spec']) ?? {}

interface Observed {
  about: string
  warnings?: string[]
  containers?: string[]
  auditAnnotations?: Record<string, string>
}

/** What the policy says of a pod, as an API server evaluates it. */
function judge(pod: unknown): { warnings: string[]; auditAnnotations: Record<string, string> } {
  const object = asArrived(pod)
  const { objectSelector } = asRecord(spec['matchConstraints']) ?? {}
  const isMatched =
    matchesLabels(labelsOf(object), requirementsOf(objectSelector)) &&
    records(spec['matchConditions']).every(({ expression }) => evaluateCondition(String(expression), { object }))
  if (!isMatched) return { warnings: [], auditAnnotations: {} }
  const variables = Object.fromEntries(
    records(spec['variables']).map(({ name, expression }): [string, unknown] => [
      String(name),
      evaluateCel(String(expression), { object }),
    ]),
  )
  const value = (expression: unknown) => evaluateCel(String(expression), { object, variables })
  const name = String(asRecord(policy['metadata'])?.['name'])
  return {
    warnings: records(spec['validations'])
      .filter(({ expression }) => value(expression) !== true)
      .map(
        ({ messageExpression }) =>
          `Validation failed for ValidatingAdmissionPolicy '${name}' with binding '${name}': ${String(value(messageExpression))}`,
      ),
    auditAnnotations: Object.fromEntries(
      records(spec['auditAnnotations'])
        .map(({ key, valueExpression }): [string, string] => [`${name}/${String(key)}`, String(value(valueExpression))])
        .filter(([, text]) => text !== ''),
    ),
  }
}

t.test('the policy is the recorded one, but for the namespaces and pods that it leaves out besides', t => {
  for (const key of ['failurePolicy', 'variables', 'validations', 'auditAnnotations']) {
    t.same(spec[key], recordedSpec[key], key)
  }
  const { objectSelector, namespaceSelector, ...rest } = asRecord(spec['matchConstraints']) ?? {}
  const { resourceRules, matchPolicy } = asRecord(recordedSpec['matchConstraints']) ?? {}
  t.same(rest, { resourceRules, matchPolicy })
  t.same(objectSelector, { matchExpressions: OBJECT_REQUIREMENTS })
  t.same(namespaceSelector, { matchExpressions: namespaceRequirements('gitlab-runner-hadr') })
  t.same(records(spec['matchConditions']).slice(0, MATCH_CONDITIONS.length), MATCH_CONDITIONS)
  t.same(recordedSpec['matchConditions'], MATCH_CONDITIONS)
  t.same(binding['spec'], recordedBinding['spec'])
  t.same(asRecord(binding['spec'])?.['validationActions'], ['Warn', 'Audit'])
  t.end()
})

/** Pods of which the recording tells the containers and the outcome; their labels are in its audit annotations. */
const recordedPods: Record<string, (containers: Body[], name: string) => Body> = {
  'ValidatingAdmissionPolicy, no webhook: runner pod': runnerPod,
  'ValidatingAdmissionPolicy, no webhook: generateName': runnerPod,
  'ValidatingAdmissionPolicy and a webhook that is down (Ignore)': runnerPod,
  'ValidatingAdmissionPolicy and a working webhook': runnerPod,
  'ValidatingAdmissionPolicy: unrelated pod': (containers, name) => podOf(containers, name, { app: 'nginx' }),
  'ValidatingAdmissionPolicy: opted out': (containers, name) =>
    podOf(containers, name, { app: 'gitlab-runner', 'gitlab-runner-hadr.io/inject': 'disabled' }),
  'ValidatingAdmissionPolicy: native sidecar': (containers, name) => {
    const pod = runnerPod(containers, name)
    return { ...pod, spec: { containers, initContainers: [{ name: 'gitlab-runner-hadr', restartPolicy: 'Always' }] } }
  },
}

for (const row of readRecording('policies-observed.json') as Observed[]) {
  const pod = recordedPods[row.about]
  if (pod === undefined) continue
  t.test(`as recorded: ${row.about}`, t => {
    const wanted = (row.warnings ?? []).map(text => text.replace(/^299 - "(.*)"$/, '$1'))
    const name = /runner pod (\S+) has/.exec(wanted.join())?.[1] ?? 'p'
    const { warnings, auditAnnotations } = judge(
      pod(
        (row.containers ?? []).map(container => ({ name: container })),
        name,
      ),
    )
    t.same(warnings, wanted)
    const own = Object.entries(row.auditAnnotations ?? {}).filter(([key]) => key.startsWith('gitlab-runner-hadr'))
    t.same(auditAnnotations, Object.fromEntries(own))
    t.end()
  })
}

/** Skipped by the handler, and a runner without its sidecar all the same: whoever created it must know. */
const WORTH_A_WARNING: ReadonlySet<SkipReason> = new Set(['portTaken', 'volumeNameTaken', 'unsafePatch'])

t.test('runner pods without their sidecar are told of, and no others', t => {
  let told = 0
  for (const { name, pod, expected } of readPodCases()) {
    // The API server refuses these itself.
    if ('skip' in expected && expected.skip === 'malformedPod') continue
    const has = JSON.stringify(pod).includes('"name":"gitlab-runner-hadr"')
    const isMissing = 'skip' in expected ? WORTH_A_WARNING.has(expected.skip) : !has
    t.equal(judge(pod).warnings.length, isMissing ? 1 : 0, name)
    if (isMissing) told += 1
    if ('patch' in expected) t.same(judge(applyAdditions(pod, expected.patch)).warnings, [], `${name}, injected`)
  }
  t.ok(told > 40, `${told} pods were told of`)
  t.end()
})

t.test('every word that opts a pod out keeps the policy silent', t => {
  for (const word of ['disabled', 'disable', 'Disabled', 'false', 'FALSE', 'no', 'off', 'never']) {
    t.same(judge(podOf([], 'p', { app: 'gitlab-runner', 'gitlab-runner-hadr.io/inject': word })).warnings, [], word)
  }
  t.match(judge(podOf([], 'p', { app: 'gitlab-runner', 'gitlab-runner-hadr.io/inject': 'true' })).warnings, [
    /pod p has/,
  ])
  t.end()
})

t.test('a pod that has no name yet goes by its prefix', t => {
  const pod = { metadata: { generateName: 'gl-', labels: { app: 'gitlab-runner' } }, spec: { containers: [] } }
  t.match(judge(pod).warnings, [/runner pod gl-\* has no gitlab-runner-hadr sidecar/])
  t.end()
})

function podOf(containers: Body[], name: string, labels: Record<string, string>): Body {
  return { metadata: { name, labels }, spec: { containers } }
}

function runnerPod(containers: Body[], name: string): Body {
  return podOf(containers, name, { app: 'gitlab-runner' })
}
