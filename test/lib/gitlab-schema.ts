import { Kind, buildSchema, isObjectType, parse, validate } from 'graphql'
import type { FieldNode, GraphQLObjectType, SelectionSetNode } from 'graphql'

/** The part of GitLab's GraphQL schema that the client uses, as `app/graphql` declares it. */
export const schema = buildSchema(`
  scalar Time
  scalar CiRunnerID
  enum RunnerMembershipFilter { DIRECT DESCENDANTS ALL_AVAILABLE }
  enum CiRunnerType { INSTANCE_TYPE GROUP_TYPE PROJECT_TYPE }
  enum CiRunnerStatus { ONLINE OFFLINE STALE NEVER_CONTACTED }
  enum RefType { HEADS TAGS }
  type PageInfo { hasNextPage: Boolean! endCursor: String }
  type CiRunnerManager { systemId: String! status: CiRunnerStatus! contactedAt: Time }
  type CiRunnerManagerConnection { nodes: [CiRunnerManager] pageInfo: PageInfo! }
  type CiRunner {
    id: CiRunnerID! description: String paused: Boolean! status: CiRunnerStatus! contactedAt: Time locked: Boolean
    tagList: [String!] shortSha: String
    managers(systemId: String, status: CiRunnerStatus, first: Int, after: String): CiRunnerManagerConnection
  }
  type CiRunnerConnection { count(limit: Int): Int! nodes: [CiRunner] pageInfo: PageInfo! }
  type Group {
    id: ID!
    runners(
      membership: RunnerMembershipFilter = DESCENDANTS, type: CiRunnerType, tagList: [String!], search: String
      first: Int, after: String
    ): CiRunnerConnection
  }
  type RepositoryBlob { path: String! rawTextBlob: String }
  type RepositoryBlobConnection { nodes: [RepositoryBlob] pageInfo: PageInfo! }
  type Repository {
    blobs(paths: [String!]!, ref: String, refType: RefType, first: Int, after: String): RepositoryBlobConnection
  }
  type Project {
    id: ID!
    repository: Repository
    runners(type: CiRunnerType, tagList: [String!], search: String, first: Int, after: String): CiRunnerConnection
  }
  type Query {
    group(fullPath: ID!): Group
    project(fullPath: ID!): Project
    runner(id: CiRunnerID!): CiRunner
    runners(type: CiRunnerType, tagList: [String!], search: String, first: Int, after: String): CiRunnerConnection
  }
`)

const RESOLVED = new Set(['group', 'project', 'runner', 'runners', 'managers', 'blobs'])

/** Throws when GitLab's validator would; otherwise the complexity that GitLab computes (`base_field.rb`). */
export function complexityOf(query: string): number {
  const document = parse(query)
  const [error] = validate(schema, document)
  if (error) throw error
  const [operation] = document.definitions
  const root = schema.getQueryType()
  if (operation?.kind !== Kind.OPERATION_DEFINITION || !root) throw new Error('not a query')
  return sum(operation.selectionSet, root)
}

function sum({ selections }: SelectionSetNode, type: GraphQLObjectType): number {
  return selections
    .filter(selection => selection.kind === Kind.FIELD)
    .reduce((total, field) => total + costOf(field, type), 0)
}

function costOf(field: FieldNode, parent: GraphQLObjectType): number {
  const name = field.name.value
  const type = schema.getType(String(parent.getFields()[name]?.type).replace(/[![\]]/g, ''))
  const children = field.selectionSet && isObjectType(type) ? sum(field.selectionSet, type) : 0
  if (!RESOLVED.has(name)) return children + 1
  const argument = (wanted: string) => field.arguments?.find(({ name }) => name.value === wanted)
  const first = argument('first')?.value
  const limit = first?.kind === Kind.INT ? Number(first.value) : 100
  const extra = (argument('search') ? 5 : 0) + (name === 'blobs' ? 2 : 0)
  const isConnection = type?.name.endsWith('Connection') ?? false
  return Math.trunc((children + 1 + extra) * (isConnection ? 1 + limit / 100 : 1))
}
