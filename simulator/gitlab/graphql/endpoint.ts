import {
  execute,
  getOperationAST,
  getVariableValues,
  GraphQLError,
  Kind,
  parse,
  validate,
  type DocumentNode,
  type FragmentDefinitionNode,
  type GraphQLSchema,
} from 'graphql'
import { Access, authenticate, presentedToken, type Caller } from '../access.ts'
import { json, Refusal, type Answer } from '../answers.ts'
import type { Context } from '../context.ts'
import { asRecord, asString, parseJson } from '../input.ts'
import { queryCost } from './cost.ts'
import { asGitLab } from './errors.ts'
import { createRoot } from './resolvers.ts'
import { createSchema } from './schema.ts'

/** Source: `app/graphql/gitlab_schema.rb`. */
const MAX_COMPLEXITY = { anonymous: 200, user: 250, admin: 300 } as const
const MAX_DEPTH = { anonymous: 15, user: 20 } as const
/** Characters of all queries of one request. Source: `app/controllers/graphql_controller.rb`. */
const MAX_QUERY_SIZE = 10_000
/** How many validation errors are reported. */
const MAX_ERRORS = 5
/** Checked queries that are remembered: programs ask the same few again and again. */
const MAX_REMEMBERED = 100

export interface GraphqlCall {
  method: string
  headers: Readonly<Record<string, string>>
  query: URLSearchParams
  body: string
}

type Endpoint = (call: GraphqlCall) => Promise<Answer>

/** Refused queries are a 200 with `errors`, as everywhere in GraphQL; wrong tokens and oversized queries are not. */
export function createGraphqlEndpoint(context: Context): Endpoint {
  const schema = createSchema()
  const remembered = new Map<string, Checked>()
  const check = (caller: Caller | undefined, request: GraphqlRequest): Checked => {
    const { query, variables, operationName } = request
    const level = levelOf(caller)
    const key = JSON.stringify([level, query, variables, operationName])
    const known = remembered.get(key) ?? checked(schema, level, request)
    remembered.set(key, known)
    for (const old of remembered.keys()) if (remembered.size > MAX_REMEMBERED) remembered.delete(old)
    return known
  }
  return async call => {
    if (!context.settings.graphql) return failure(404, 'Not found!')
    const caller = identify(context, call)
    if (caller === 'invalid') return failure(401, 'Invalid token')
    const body =
      call.method === 'POST' ? parseJson(call.body === '' ? '{}' : call.body) : Object.fromEntries(call.query)
    const requests = (Array.isArray(body) ? (body as unknown[]) : [body]).map(readRequest)
    if (requests.reduce((sum, { query }) => sum + query.length, 0) > MAX_QUERY_SIZE) {
      return failure(422, 'Query too large')
    }
    const results = await Promise.all(
      requests.map(request => run(context, schema, caller, request, check(caller, request))),
    )
    return json(200, Array.isArray(body) ? results : results[0])
  }
}

interface GraphqlRequest {
  query: string
  variables: Record<string, unknown>
  operationName: string | undefined
}

function readRequest(value: unknown): GraphqlRequest {
  const fields = asRecord(value) ?? {}
  const { variables } = fields
  const parsed = typeof variables === 'string' && variables !== '' ? parseJson(variables) : variables
  return {
    query: asString(fields['query']) ?? '',
    variables: asRecord(parsed) ?? {},
    operationName: asString(fields['operationName']),
  }
}

/** A token without `api` or `read_api` is as good as a wrong one here. */
function identify(context: Context, call: GraphqlCall): Caller | undefined | 'invalid' {
  const scopes = ['api', 'read_api'] as const
  try {
    return authenticate(context, presentedToken(call.headers, call.query), { all: scopes, usable: scopes })
  } catch (error) {
    if (error instanceof Refusal) return 'invalid'
    throw error
  }
}

/** A query that may be executed, or why not. */
type Checked = { document: DocumentNode } | { errors: readonly GraphQLError[] }

type Level = keyof typeof MAX_COMPLEXITY

function levelOf(caller: Caller | undefined): Level {
  return caller === undefined ? 'anonymous' : caller.token.admin ? 'admin' : 'user'
}

function checked(schema: GraphQLSchema, level: Level, request: GraphqlRequest): Checked {
  const document = parsed(request.query)
  if (document instanceof GraphQLError) return { errors: [asGitLab(document)] }
  const invalid = validate(schema, document, undefined, { maxErrors: MAX_ERRORS })
  if (invalid.length > 0) return { errors: invalid.slice(0, MAX_ERRORS).map(asGitLab) }
  const tooMuch = overLimit(schema, document, level, request)
  return tooMuch ? { errors: tooMuch } : { document }
}

async function run(
  context: Context,
  schema: GraphQLSchema,
  caller: Caller | undefined,
  request: GraphqlRequest,
  query: Checked,
) {
  if ('errors' in query) return query
  return execute({
    schema,
    document: query.document,
    rootValue: createRoot(context, new Access(context, caller), caller?.token.admin ?? false),
    variableValues: request.variables,
    operationName: request.operationName,
  })
}

function parsed(query: string): DocumentNode | GraphQLError {
  try {
    return parse(query)
  } catch (error) {
    if (error instanceof GraphQLError) return error
    throw error
  }
}

function overLimit(
  schema: GraphQLSchema,
  document: DocumentNode,
  level: Level,
  { operationName, variables }: GraphqlRequest,
): readonly GraphQLError[] | undefined {
  const operation = getOperationAST(document, operationName)
  const root = schema.getQueryType()
  if (!operation || !root) return undefined
  const values = getVariableValues(schema, operation.variableDefinitions ?? [], variables)
  if (values.errors) return values.errors.map(asGitLab)
  const fragments: Record<string, FragmentDefinitionNode> = {}
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments[definition.name.value] = definition
  }
  const cost = queryCost({ root, selectionSet: operation.selectionSet, fragments, variables: values.coerced })
  const maxDepth = MAX_DEPTH[level === 'anonymous' ? 'anonymous' : 'user']
  const errors = [
    ...(cost.complexity > MAX_COMPLEXITY[level]
      ? [`Query has complexity of ${cost.complexity}, which exceeds max complexity of ${MAX_COMPLEXITY[level]}`]
      : []),
    ...(cost.depth > maxDepth ? [`Query has depth of ${cost.depth}, which exceeds max depth of ${maxDepth}`] : []),
  ]
  return errors.length > 0 ? errors.map(message => new GraphQLError(message)) : undefined
}

function failure(status: number, message: string): Answer {
  return json(status, { errors: [{ message }] })
}
