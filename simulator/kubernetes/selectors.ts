import { refusals } from './answers.ts'
import type { ResourceType } from './resources.ts'
import { asList, asRecord, asString, isRecord, records, type KubeObject } from './values.ts'

export interface Requirement {
  key: string
  operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'
  values: readonly string[]
}

/** `NotIn` holds where the label is missing; an empty value still exists. */
export function matchesLabels(labels: Readonly<Record<string, string>>, requirements: readonly Requirement[]): boolean {
  return requirements.every(({ key, operator, values }) => {
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined
    switch (operator) {
      case 'In':
        return value !== undefined && values.includes(value)
      case 'NotIn':
        return value === undefined || !values.includes(value)
      case 'Exists':
        return value !== undefined
      case 'DoesNotExist':
        return value === undefined
    }
  })
}

const OPERATORS = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const

/** The requirements of a LabelSelector object; an empty one matches everything. */
export function requirementsOf(selector: unknown): Requirement[] {
  const { matchLabels, matchExpressions } = asRecord(selector) ?? {}
  const exact = Object.entries(isRecord(matchLabels) ? matchLabels : {}).map(([key, value]): Requirement => ({
    key,
    operator: 'In',
    values: [asString(value) ?? ''],
  }))
  const listed = records(matchExpressions).map((expression): Requirement => {
    const operator = OPERATORS.find(word => word === expression['operator']) ?? 'Exists'
    return { key: asString(expression['key']) ?? '', operator, values: asList(expression['values']).map(String) }
  })
  return [...exact, ...listed]
}

/** A `labelSelector` parameter: `a=b`, `a!=b`, `a`, `!a`, `a in (b,c)`, `a notin (b)`. */
export function parseLabelSelector(text: string): Requirement[] {
  return splitOutsideParentheses(text).map((part): Requirement => {
    const set = /^(\S+)\s+(in|notin)\s+(.*)$/s.exec(part)
    if (set) {
      const [, key = '', word, list = ''] = set
      const values = /^\((.*)\)$/s.exec(list)?.[1]
      if (values === undefined) {
        throw refusals.badRequest(`unable to parse requirement: found '${list}' expected: '('`)
      }
      const operator = word === 'in' ? 'In' : 'NotIn'
      return { key, operator, values: values.split(',').map(value => value.trim()) }
    }
    const pair = /^([^=!]+?)\s*(==|=|!=)\s*(.*)$/s.exec(part)
    if (pair) {
      const [, key = '', operator, value = ''] = pair
      return { key, operator: operator === '!=' ? 'NotIn' : 'In', values: [value] }
    }
    return part.startsWith('!')
      ? { key: part.slice(1).trim(), operator: 'DoesNotExist', values: [] }
      : { key: part, operator: 'Exists', values: [] }
  })
}

function splitOutsideParentheses(text: string): string[] {
  return text
    .split(/,(?![^(]*\))/)
    .map(part => part.trim())
    .filter(part => part !== '')
}

export interface FieldRequirement {
  path: string
  equal: boolean
  value: string
}

const SELECTABLE: Readonly<Record<string, readonly string[]>> = {
  pods: ['spec.nodeName', 'spec.restartPolicy', 'spec.schedulerName', 'spec.serviceAccountName', 'status.phase'],
  secrets: ['type'],
}

export function parseFieldSelector(type: ResourceType, text: string): FieldRequirement[] {
  return text
    .split(',')
    .filter(part => part !== '')
    .map(part => {
      const [, path = part, operator = '=', value = ''] = /^(.*?)(!=|==|=)(.*)$/s.exec(part) ?? []
      const known = ['metadata.name', 'metadata.namespace', ...(SELECTABLE[type.plural] ?? [])]
      if (!known.includes(path)) throw refusals.badRequest(`field label not supported: ${path}`)
      return { path, equal: operator !== '!=', value }
    })
}

export function matchesFields(object: KubeObject, requirements: readonly FieldRequirement[]): boolean {
  return requirements.every(({ path, equal, value }) => {
    let found: unknown = object
    for (const name of path.split('.')) found = asRecord(found)?.[name]
    return ((asString(found) ?? '') === value) === equal
  })
}
