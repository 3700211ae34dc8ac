import { readFileSync } from 'node:fs'
import t from 'tap'
import { evaluateKnownCondition } from '../../simulator/kubernetes/admission/match.ts'
import { matchesLabels, requirementsOf } from '../../simulator/kubernetes/selectors.ts'
import { labelsOf } from '../../simulator/kubernetes/values.ts'
import { MATCH_CONDITIONS, namespaceRequirements, OBJECT_REQUIREMENTS } from '../../webhook/conditions.ts'
import { target } from '../../webhook/target.ts'
import { evaluateCondition } from '../support/cel.ts'
import { asArrived, CREATE_POD, readPodCases } from './pods.ts'

const recorded = JSON.parse(readFileSync('test/recordings/kubernetes/matching.json', 'utf8')) as Record<string, unknown>

t.test('selectors and conditions are those whose effect was recorded on an API server', t => {
  t.strictSame({ matchExpressions: namespaceRequirements('gitlab-runner-hadr') }, recorded['namespaceSelector'])
  t.strictSame({ matchExpressions: OBJECT_REQUIREMENTS }, recorded['objectSelector'])
  t.strictSame(MATCH_CONDITIONS, recorded['matchConditions'])
  t.end()
})

/** Which layers stop a pod, each by itself, as if the others were not there. Pods that are not named pass all three. */
const STOPPED: Readonly<Record<string, string>> = {
  'batch-job': 'conditions, handler',
  // Whose runner it is takes a look at several labels, which the handler alone does.
  'github-runner': 'handler',
  // The handler alone, since it tells whoever created the pod; the others would pass over it in silence.
  'host-network': 'handler',
  // Before 17.9 a job pod has no label that its user could not take away.
  'job-15.8': 'conditions, handler',
  'job-15.8-opted-in': 'conditions, handler',
  'job-16.8': 'conditions, handler',
  'job-17.8': 'conditions, handler',
  'job-17.8-spoofed': 'conditions, handler',
  'job-17.9': 'selector, conditions, handler',
  'job-17.9-services': 'selector, conditions, handler',
  'job-17.9-spoofed': 'selector, conditions, handler',
  'job-18.0': 'selector, conditions, handler',
  'job-19.0-renamed': 'selector, conditions, handler',
  'job-19.0-restart-always': 'selector, handler',
  'job-label-in-capitals': 'handler',
  'job-steps': 'selector, conditions, handler',
  'kubectl-run': 'conditions, handler',
  'kubectl-run-never': 'conditions, handler',
  'labels-null': 'conditions, handler',
  mirror: 'conditions, handler',
  'no-labels': 'conditions, handler',
  'operator-controller': 'conditions, handler',
  'opted-out': 'selector, handler',
  'opted-out-chart': 'selector, handler',
  'pause-pod': 'selector, conditions, handler',
  'pause-pod-spoofed': 'selector, handler',
}

t.test('each layer alone stops what it can know, and lets every pod through that the handler would take', t => {
  const requirements = requirementsOf({ matchExpressions: OBJECT_REQUIREMENTS })
  const stopped: Record<string, string> = {}
  for (const { name, pod, options } of readPodCases()) {
    const object = asArrived(pod)
    const layers = {
      selector: matchesLabels(labelsOf(object), requirements),
      conditions: MATCH_CONDITIONS.every(({ expression }) => evaluateCondition(expression, { object })),
      handler: 'inject' in target(pod, CREATE_POD, options),
    }
    const stoppedBy = Object.entries(layers).flatMap(([layer, passes]) => (passes ? [] : [layer]))
    if (stoppedBy.length > 0) stopped[name] = stoppedBy.join(', ')
  }
  t.same(stopped, STOPPED)
  for (const [name, layers] of Object.entries(STOPPED)) t.match(layers, /handler$/, name)
  t.end()
})

t.test('the conditions that the simulated API server knows by heart mean what a CEL library makes of them', t => {
  for (const { name, pod } of readPodCases()) {
    const object = asArrived(pod)
    for (const { name: condition, expression } of MATCH_CONDITIONS) {
      const known = evaluateKnownCondition(expression, { object, oldObject: null, request: {} })
      t.equal(known, evaluateCondition(expression, { object }), `${name}, ${condition}`)
    }
  }
  t.end()
})
