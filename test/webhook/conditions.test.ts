import { readFileSync } from 'node:fs'
import t from 'tap'
import {
  MATCH_CONDITIONS,
  namespaceRequirements,
  OBJECT_REQUIREMENTS,
  type LabelRequirement,
} from '../../webhook/conditions.ts'
import { decide } from '../../webhook/decide.ts'
import { field } from '../../webhook/json.ts'
import { CREATE_POD, readPodCases } from './pods.ts'

const recorded = JSON.parse(readFileSync('test/recordings/kubernetes/matching.json', 'utf8')) as Record<string, unknown>

t.test('selectors and conditions are those whose effect was recorded on an API server', t => {
  t.strictSame({ matchExpressions: namespaceRequirements('gitlab-runner-hadr') }, recorded['namespaceSelector'])
  t.strictSame({ matchExpressions: OBJECT_REQUIREMENTS }, recorded['objectSelector'])
  t.strictSame(MATCH_CONDITIONS, recorded['matchConditions'])
  t.end()
})

t.test('the object selector lets every pod through that the handler would inject', t => {
  for (const { name, pod, options } of readPodCases()) {
    if ('skip' in decide(pod, CREATE_POD, options)) continue
    const labels = field(field(pod, 'metadata'), 'labels')
    t.ok(
      OBJECT_REQUIREMENTS.every(requirement => holds(requirement, labels)),
      name,
    )
  }
  t.end()
})

/** As the API server evaluates a requirement on a set of labels. */
function holds({ key, operator, values = [] }: LabelRequirement, labels: unknown): boolean {
  const value = field(labels, key)
  switch (operator) {
    case 'In':
      return typeof value === 'string' && values.includes(value)
    case 'NotIn':
      return typeof value !== 'string' || !values.includes(value)
    case 'DoesNotExist':
      return value === undefined
  }
}
