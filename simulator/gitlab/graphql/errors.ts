import { GraphQLError } from 'graphql'

interface Translation {
  pattern: RegExp
  message: (...parts: string[]) => string
  /** GitLab's validation errors carry one; errors of variables and of parsing do not. */
  code?: string
}

/** graphql-js says the same things in other words than graphql-ruby, which GitLab uses; clients look at the words. */
const TRANSLATIONS: readonly Translation[] = [
  {
    pattern: /^Cannot query field "(.+?)" on type "(.+?)"/,
    message: (field = '', type = '') => `Field '${field}' doesn't exist on type '${type}'`,
    code: 'undefinedField',
  },
  {
    pattern: /^Unknown argument "(.+?)" on field "\w+\.(.+?)"/,
    message: (argument = '', field = '') => `Field '${field}' doesn't accept argument '${argument}'`,
    code: 'argumentNotAccepted',
  },
  {
    pattern: /^Field "(.+?)" argument "(.+?)" of type .+ is required/,
    message: (field = '', argument = '') => `Field '${field}' is missing required arguments: ${argument}`,
    code: 'missingRequiredArguments',
  },
  {
    pattern: /^Unknown type "(.+?)"/,
    message: (type = '') => `${type} isn't a defined input type`,
    code: 'variableRequiresValidType',
  },
  {
    pattern: /^Variable "\$(.+?)" of type "(.+?)" used in position expecting type "(.+?)"/,
    message: (name = '', given = '', wanted = '') => `Type mismatch on variable $${name} (${given} / ${wanted})`,
    code: 'variableMismatch',
  },
  {
    pattern: /^Variable "\$(.+?)" is not defined/,
    message: (name = '') => `Variable $${name} is used but not declared`,
    code: 'variableNotDefined',
  },
  {
    pattern: /^Variable "\$(.+?)" is never used/,
    message: (name = '') => `Variable $${name} is declared but not used`,
    code: 'variableNotUsed',
  },
  {
    pattern: /^Field "(.+?)" of type "(.+?)" must have a selection/,
    message: (field = '', type = '') => `Field must have selections (field '${field}' returns ${type})`,
    code: 'selectionMismatch',
  },
  {
    pattern: /^Value "(.+?)" does not exist in "(.+?)" enum/,
    message: (value = '', type = '') => `Argument has an invalid value (${value}). Expected type '${type}'.`,
    code: 'argumentLiteralsIncompatible',
  },
  {
    pattern: /^Variable "\$(.+?)" of required type "(.+?)" was not provided/,
    message: (name = '', type = '') => `Variable $${name} of type ${type} was provided invalid value`,
  },
  {
    pattern: /^Variable "\$(.+?)" got invalid value/,
    message: (name = '') => `Variable $${name} was provided invalid value`,
  },
  { pattern: /^Syntax Error: (.+)/, message: (detail = '') => `Parse error: ${detail}` },
]

/** The error as GitLab would word it; one without a translation keeps its words and gets a validator's code. */
export function asGitLab(error: GraphQLError): GraphQLError {
  for (const { pattern, message, code } of TRANSLATIONS) {
    const match = pattern.exec(error.message)
    if (match) return reworded(error, message(...match.slice(1)), code)
  }
  return reworded(error, error.message, 'argumentLiteralsIncompatible')
}

function reworded(error: GraphQLError, message: string, code: string | undefined): GraphQLError {
  return new GraphQLError(message, {
    ...(error.nodes && { nodes: error.nodes }),
    ...(error.source && { source: error.source }),
    ...(error.positions && { positions: error.positions }),
    ...(code !== undefined && { extensions: { code } }),
  })
}
