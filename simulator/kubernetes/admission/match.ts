import { matchesLabels, requirementsOf } from '../selectors.ts'
import { asList, asRecord, asString, labelsOf, records, type KubeObject } from '../values.ts'

/** What a match condition may look at; absent things are absent, as in the server. */
export interface ConditionVariables {
  object: KubeObject
  oldObject: null
  request: KubeObject
}

/** Evaluates a CEL expression. Throws an Error with CEL's message where the evaluation fails. */
export type ConditionEvaluator = (expression: string, variables: ConditionVariables) => boolean

export type Match = { matched: boolean } | { matched: false; error: string }

/** Whether the rules and both selectors of a webhook cover the creation of this pod. */
export function coversPod(
  webhook: KubeObject,
  namespaceLabels: Readonly<Record<string, string>>,
  pod: KubeObject,
): boolean {
  const one = (values: unknown, word: string) => asList(values).some(value => value === word || value === '*')
  const ruled = records(webhook['rules']).some(
    rule =>
      one(rule['operations'], 'CREATE') &&
      one(rule['apiGroups'], '') &&
      one(rule['apiVersions'], 'v1') &&
      one(rule['resources'], 'pods') &&
      rule['scope'] !== 'Cluster',
  )
  return (
    ruled &&
    matchesLabels(namespaceLabels, requirementsOf(webhook['namespaceSelector'])) &&
    matchesLabels(labelsOf(pod), requirementsOf(webhook['objectSelector']))
  )
}

/** A false condition beats an error in another one. */
export function meetsConditions(
  webhook: KubeObject,
  evaluate: ConditionEvaluator,
  variables: ConditionVariables,
): Match {
  const errors: string[] = []
  for (const condition of records(webhook['matchConditions'])) {
    const expression = asString(condition['expression']) ?? ''
    try {
      if (!evaluate(expression, variables)) return { matched: false }
    } catch (error) {
      const why = error instanceof Error ? error.message : 'unknown'
      errors.push(`expression '${expression}' resulted in error: ${why}`)
    }
  }
  return errors.length === 0 ? { matched: true } : { matched: false, error: errors.join(', ') }
}

type Labels = Readonly<Record<string, string>>

const label = (labels: Labels, name: string) => labels[name] ?? ''

/** The expressions of the project's own webhook configuration, word for word, and what they mean. */
const KNOWN_CONDITIONS: Readonly<Record<string, (pod: KubeObject) => boolean>> = {
  "object.spec.?restartPolicy.orValue('Always') == 'Always'": pod =>
    (asRecord(pod['spec'])?.['restartPolicy'] ?? 'Always') === 'Always',
  "!('kubernetes.io/config.mirror' in object.metadata.?annotations.orValue({}))": pod =>
    !Object.hasOwn(asRecord(asRecord(pod['metadata'])?.['annotations']) ?? {}, 'kubernetes.io/config.mirror'),
  [[
    "object.metadata.?labels[?'gitlab-runner-hadr.io/inject'].orValue('') == 'enabled'",
    "object.metadata.?labels[?'chart'].orValue('').startsWith('gitlab-runner-')",
    "object.metadata.?labels[?'app'].orValue('').startsWith('gitlab-runner')",
    "object.metadata.?labels[?'app'].orValue('').endsWith('-gitlab-runner')",
    "object.metadata.?labels[?'app.kubernetes.io/name'].orValue('') == 'gitlab-runner'",
    "object.metadata.?labels[?'app.kubernetes.io/component'].orValue('') == 'runner'",
  ].join(' || ')]: pod => {
    const labels = labelsOf(pod)
    return (
      label(labels, 'gitlab-runner-hadr.io/inject') === 'enabled' ||
      label(labels, 'chart').startsWith('gitlab-runner-') ||
      label(labels, 'app').startsWith('gitlab-runner') ||
      label(labels, 'app').endsWith('-gitlab-runner') ||
      label(labels, 'app.kubernetes.io/name') === 'gitlab-runner' ||
      label(labels, 'app.kubernetes.io/component') === 'runner'
    )
  },
}

/** The simulator evaluates no CEL by itself: it knows three expressions, and any other is an evaluation error. */
export const evaluateKnownCondition: ConditionEvaluator = (expression, { object }) => {
  const condition = KNOWN_CONDITIONS[expression.replace(/\s+/g, ' ').trim()]
  if (!condition) throw new Error('the simulated API server does not know this expression; give it an evaluator')
  return condition(object)
}
