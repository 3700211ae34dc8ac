import { Environment, EvaluationError } from '@marcbachmann/cel-js'

/** Kubernetes' dialect as far as conditions of webhooks and policies need it: optionals, and strings' extensions. */
const environment = new Environment({ unlistedVariablesAreDyn: true, enableOptionalTypes: true })

/** The value of a CEL expression; throws where CEL has none, in the words of an API server. */
export function evaluateCel(expression: string, variables: object): unknown {
  try {
    const given = Object.entries(variables).map(([name, value]): [string, unknown] => [name, asMaps(value)])
    const value: unknown = environment.parse(expression)(Object.fromEntries(given))
    return value
  } catch (error) {
    if (!(error instanceof EvaluationError)) throw error
    // The library quotes the expression on further lines.
    const [summary = ''] = error.message.split('\n')
    throw new Error(summary.replace(/^No such key/, 'no such key'), { cause: error })
  }
}

/** A match condition's truth, for the simulated API server; a webhook's conditions know a namespaceObject without content. */
export function evaluateCondition(expression: string, variables: object): boolean {
  const value = evaluateCel(expression, { namespaceObject: {}, ...variables })
  if (typeof value !== 'boolean') throw new Error('must evaluate to bool')
  return value
}

/** Objects as maps: the library would take a key `constructor` for the object's own, and miss `__proto__`. */
function asMaps(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(asMaps)
  if (typeof value !== 'object' || value === null) return value
  return new Map(Object.entries(value).map(([key, member]) => [key, asMaps(member)]))
}
