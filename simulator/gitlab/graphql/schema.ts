import { buildSchema, GraphQLError, GraphQLScalarType, valueFromASTUntyped, type GraphQLSchema } from 'graphql'

/** The part of GitLab's schema that deals with runners and files; names, arguments and types are GitLab's. */
const SDL = `
scalar Time
scalar CiRunnerID
scalar CiRunnerManagerID
scalar BigInt

type Query {
  "Find a group."
  group(fullPath: ID!): Group
  "Find a project."
  project(fullPath: ID!): Project
  "Find a runner."
  runner(id: CiRunnerID!): CiRunner
  "Find runners visible to the current user."
  runners(
    paused: Boolean, status: CiRunnerStatus, type: CiRunnerType, tagList: [String!], search: String, sort: CiRunnerSort,
    after: String, before: String, first: Int, last: Int
  ): CiRunnerConnection
}

type Group {
  id: ID!
  name: String!
  path: String!
  fullPath: ID!
  runners(
    paused: Boolean, status: CiRunnerStatus, type: CiRunnerType, tagList: [String!], search: String, sort: CiRunnerSort,
    membership: CiRunnerMembershipFilter = DESCENDANTS,
    after: String, before: String, first: Int, last: Int
  ): CiRunnerConnection
}

type Project {
  id: ID!
  name: String!
  path: String!
  fullPath: ID!
  runners(
    paused: Boolean, status: CiRunnerStatus, type: CiRunnerType, tagList: [String!], search: String, sort: CiRunnerSort,
    after: String, before: String, first: Int, last: Int
  ): CiRunnerConnection
  repository: Repository
}

type Repository {
  rootRef: String
  empty: Boolean!
  exists: Boolean!
  blobs(
    paths: [String!]!, ref: String, refType: RefType, after: String, before: String, first: Int, last: Int
  ): RepositoryBlobConnection
}

type RepositoryBlob {
  id: ID!
  oid: String!
  path: String!
  name: String
  mode: String
  size: BigInt
  rawSize: BigInt
  rawBlob: String
  rawTextBlob: String
}

type RepositoryBlobConnection { edges: [RepositoryBlobEdge] nodes: [RepositoryBlob] pageInfo: PageInfo! }
type RepositoryBlobEdge { cursor: String! node: RepositoryBlob }

type CiRunner {
  id: CiRunnerID!
  description: String
  shortSha: String
  runnerType: CiRunnerType!
  paused: Boolean!
  active: Boolean! @deprecated(reason: "Use paused.")
  status: CiRunnerStatus!
  jobExecutionStatus: CiRunnerJobExecutionStatus
  contactedAt: Time
  createdAt: Time
  runUntagged: Boolean!
  locked: Boolean
  accessLevel: CiRunnerAccessLevel!
  maximumTimeout: Int
  tagList: [String!]
  managers(
    systemId: String, status: CiRunnerStatus, after: String, before: String, first: Int, last: Int
  ): CiRunnerManagerConnection
}

type CiRunnerConnection { count: Int! edges: [CiRunnerEdge] nodes: [CiRunner] pageInfo: PageInfo! }
type CiRunnerEdge { cursor: String! node: CiRunner }

type CiRunnerManager {
  id: CiRunnerManagerID!
  systemId: String!
  status: CiRunnerStatus!
  jobExecutionStatus: CiRunnerJobExecutionStatus
  contactedAt: Time
  createdAt: Time
  ipAddress: String
  version: String
  revision: String
  platformName: String
  architectureName: String
  executorName: String
}

type CiRunnerManagerConnection { count: Int! edges: [CiRunnerManagerEdge] nodes: [CiRunnerManager] pageInfo: PageInfo! }
type CiRunnerManagerEdge { cursor: String! node: CiRunnerManager }

type PageInfo { hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String }

enum CiRunnerStatus { ONLINE OFFLINE STALE NEVER_CONTACTED }
enum CiRunnerType { INSTANCE_TYPE GROUP_TYPE PROJECT_TYPE }
enum CiRunnerAccessLevel { NOT_PROTECTED REF_PROTECTED }
enum CiRunnerJobExecutionStatus { ACTIVE IDLE }
enum CiRunnerMembershipFilter { DIRECT DESCENDANTS ALL_AVAILABLE }
enum CiRunnerSort { CREATED_ASC CREATED_DESC CONTACTED_ASC CONTACTED_DESC }
enum RefType { HEADS TAGS }
`

export function createSchema(): GraphQLSchema {
  const schema = buildSchema(SDL)
  acceptGlobalIds(schema, 'CiRunnerID', 'Ci::Runner')
  return schema
}

/** A global id of another kind is refused before anything runs: `gid://gitlab/Ci::Runner/7`, not `7`. */
function acceptGlobalIds(schema: GraphQLSchema, scalar: string, model: string): void {
  const type = schema.getType(scalar)
  if (!(type instanceof GraphQLScalarType)) return
  const parse = (value: unknown): string => {
    const text = String(value)
    if (!new RegExp(`^gid://gitlab/${model}/\\d+$`).test(text)) {
      throw new GraphQLError(`"${text}" does not represent an instance of ${model}`)
    }
    return text
  }
  type.parseValue = parse
  type.parseLiteral = (node, variables) => parse(valueFromASTUntyped(node, variables))
}
