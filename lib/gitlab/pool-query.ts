import { PAGE_INFO, nextCursor } from './graphql.ts'
import { ShapeError, type Json } from './json.ts'
import { PAGE_SIZE } from './pages.ts'
import { RUNNER_FIELDS, runnerFromGraphql } from './runner-shape.ts'
import { GitLabError, type FileAddress, type FileContent, type GitLabRunner } from './types.ts'

/** One thing that a query asks for: a page of the runners with a tag, or a file. */
export type Part =
  { kind: 'runners'; tag: string; after: string | undefined } | { kind: 'file'; address: FileAddress; index: number }

/**
 * GitLab grants an authenticated user 250 points of complexity per query. A field costs 1; a resolver 1 more, plus 1 if it
 * calls Gitaly and 1 per path; a connection's cost grows by 1 % for every node asked for (`base_field.rb`,
 * `base_resolver.rb`, `blobs_resolver.rb`). A fifth of it is left as a margin for versions that count otherwise.
 */
const BUDGET = 205
/** Nodes, seven fields, count and page info are 12; the resolver makes 13; a hundred nodes double it. */
const RUNNERS_COST = 26
/** Nodes, two fields, the resolver, Gitaly and one path. */
const FILE_COST = 6
/** Group, project and repository with their ids, each behind a resolver. */
const FRAME_COST = 8

/** Cuts the parts into queries that GitLab accepts; up to five clusters with a file each are one query. */
export function batches(parts: readonly Part[]): Part[][] {
  const result: Part[][] = []
  let room = 0
  for (const part of parts) {
    const cost = part.kind === 'runners' ? RUNNERS_COST : FILE_COST
    if (room < cost) {
      result.push([])
      room = BUDGET - FRAME_COST
    }
    result.at(-1)?.push(part)
    room -= cost
  }
  return result
}

/** Where GraphQL finds runners; the instance's are at the root. */
export type OwnerPath = { kind: 'group' | 'project'; path: string } | { kind: 'instance' }

/** A group lists those of its descendants and a project those that serve it too, unless told otherwise. */
const WHICH = {
  group: 'membership: DIRECT, type: GROUP_TYPE',
  project: 'type: PROJECT_TYPE',
  instance: 'type: INSTANCE_TYPE',
} as const

/** The document and its variables; every part is an alias `p<position>` within the owner or the repository. */
export function poolQuery(parts: readonly Part[], { owner, project }: { owner?: OwnerPath; project: string }) {
  const parameters: string[] = []
  const variables: Record<string, unknown> = {}
  const declare = (name: string, type: string, value: unknown) => {
    parameters.push(`$${name}: ${type}`)
    variables[name] = value
    return `$${name}`
  }

  const runners: string[] = []
  const files: string[] = []
  for (const [index, part] of parts.entries()) {
    if (part.kind === 'runners') {
      if (!owner) continue
      const tag = declare(`t${index}`, '[String!]', [part.tag])
      const after = declare(`a${index}`, 'String', part.after ?? null)
      runners.push(
        `p${index}: runners(${WHICH[owner.kind]}, tagList: ${tag}, first: ${PAGE_SIZE}, after: ${after}) {
          count nodes { ${RUNNER_FIELDS} } ${PAGE_INFO}
        }`,
      )
    } else {
      const ref = declare(`r${index}`, 'String', part.address.branch)
      const path = declare(`f${index}`, '[String!]!', [part.address.path])
      // HEADS, because a tag of the same name would otherwise win over the branch.
      files.push(
        `p${index}: blobs(ref: ${ref}, refType: HEADS, paths: ${path}, first: 1) { nodes { path rawTextBlob } }`,
      )
    }
  }

  const roots: string[] = []
  if (runners.length > 0 && owner) {
    const list = runners.join('\n')
    if (owner.kind === 'instance') roots.push(list)
    else if (owner.kind === 'group')
      roots.push(`group(fullPath: ${declare('group', 'ID!', owner.path)}) { id ${list} }`)
    else roots.push(`owner: project(fullPath: ${declare('owner', 'ID!', owner.path)}) { id ${list} }`)
  }
  if (files.length > 0) {
    roots.push(`project(fullPath: ${declare('project', 'ID!', project)}) { id repository { ${files.join('\n')} } }`)
  }
  return { query: `query (${parameters.join(', ')}) { ${roots.join('\n')} }`, variables }
}

/** A page of a `runners` connection. `count` is GitLab's own number of all of them, on every page. */
export function readRunnersPage(connection: Json): { runners: GitLabRunner[]; count: number; after?: string } {
  const after = nextCursor(connection)
  return {
    runners: connection.get('nodes').items().map(runnerFromGraphql),
    count: connection.get('count').integer(),
    ...(after === undefined ? {} : { after }),
  }
}

/** A repository's `blobs` connection for one path: no node means that the branch or the file does not exist. */
export function readBlob(connection: Json, path: string): FileContent {
  const [blob, ...others] = connection.get('nodes').items()
  if (blob === undefined) return null
  if (others.length > 0 || blob.get('path').string() !== path) throw new ShapeError('the blob', `that of ${path} alone`)
  return blob.get('rawTextBlob').nullable(text => text.string()) ?? ''
}

/** Without the right to read code GitLab answers with no repository, which must not pass for one without files. */
export function openRepository(project: Json, id: number): Json {
  const repository = project.get('repository')
  if (!repository.isNull) return repository
  const detail = `project ${id}: the token's role cannot read the repository, or the repository is switched off`
  throw new GitLabError('forbidden', 'POST /api/graphql', detail)
}
