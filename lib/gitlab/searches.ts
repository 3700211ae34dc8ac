import { PAGE_INFO, nextCursor, numericId, type Graphql } from './graphql.ts'
import { ShapeError, type Json } from './json.ts'
import { PAGE_SIZE } from './pages.ts'
import { notVisible, type Paths } from './paths.ts'
import { MANAGER_FIELDS, RUNNER_FIELDS, listedRunner, managerFromGraphql, runnerFromGraphql } from './runner-shape.ts'
import type { Runners } from './runners.ts'
import type { GitLabManager, GitLabRunner, RunnerCandidate } from './types.ts'

/** An alias costs 13 of the 250 points of complexity that GitLab grants. */
const RUNNERS_PER_QUERY = 16

export interface RunnerSearch {
  description?: string
  systemId?: string
  perPage: number
  cursor?: string
  via: 'graphql' | 'rest'
}

/** How a sidecar finds and then watches its own runner. */
export interface Searches {
  withManager(
    wanted: readonly { id: number; systemId: string }[],
    signal: AbortSignal,
  ): Promise<({ runner: GitLabRunner; manager: GitLabManager | null } | null)[]>
  page(
    group: number | string,
    search: RunnerSearch,
    signal: AbortSignal,
  ): Promise<{ runners: RunnerCandidate[]; nextCursor?: string }>
}

export function createSearches(graphql: Graphql, runners: Runners, paths: Paths): Searches {
  async function restPage(group: number | string, { perPage, cursor }: RunnerSearch, signal: AbortSignal) {
    const part = await runners.page(group, { page: Number(cursor ?? 1), perPage: pageSize(perPage) }, signal)
    const found = part.items.map(item => {
      const { id, description } = listedRunner(item)
      return { id, description }
    })
    return { runners: found, ...(part.nextPage === undefined ? {} : { nextCursor: String(part.nextPage) }) }
  }

  async function graphqlPage(group: number | string, search: RunnerSearch, signal: AbortSignal) {
    const id = /^\d+$/.test(String(group)) ? Number(group) : undefined
    const path = id === undefined ? String(group) : await paths.find('group', id, signal)
    const { description, systemId, cursor, perPage } = search
    const managers = systemId === undefined ? '' : 'managers(systemId: $systemId, first: 1) { nodes { systemId } }'
    const parameters = systemId === undefined ? '' : ', $systemId: String'
    return await graphql.query(
      {
        subject: `runners of group ${group}`,
        query: `query ($group: ID!, $search: String, $after: String${parameters}) {
          group(fullPath: $group) {
            id
            runners(membership: DIRECT, type: GROUP_TYPE, search: $search, first: ${pageSize(perPage)}, after: $after) {
              nodes { id description shortSha ${managers} }
              ${PAGE_INFO}
            }
          }
        }`,
        variables: {
          group: path,
          search: description ?? null,
          after: cursor ?? null,
          ...(systemId === undefined ? {} : { systemId }),
        },
        read: data => {
          const found = data.get('group')
          if (id === undefined && found.isNull) throw notVisible('group', group)
          const connection = (id === undefined ? found : paths.open('group', id, found)).get('runners')
          const next = nextCursor(connection)
          const nodes = connection.get('nodes').items()
          const runners = nodes.map(node => candidate(node, systemId))
          return { runners, ...(next === undefined ? {} : { nextCursor: next }) }
        },
      },
      signal,
    )
  }

  return {
    async withManager(wanted, signal) {
      const results: ({ runner: GitLabRunner; manager: GitLabManager | null } | null)[] = []
      for (let start = 0; start < wanted.length; start += RUNNERS_PER_QUERY) {
        const part = wanted.slice(start, start + RUNNERS_PER_QUERY)
        results.push(...(await graphql.query(managersQuery(part), signal)))
      }
      return results
    },
    page: (group, search, signal) => (search.via === 'rest' ? restPage : graphqlPage)(group, search, signal),
  }
}

function managersQuery(wanted: readonly { id: number; systemId: string }[]) {
  const parameters = wanted.map((_, index) => `$r${index}: CiRunnerID!, $s${index}: String`).join(', ')
  const aliases = wanted.map(
    (_, index) =>
      `r${index}: runner(id: $r${index}) {
        ${RUNNER_FIELDS} managers(systemId: $s${index}, first: 1) { nodes { ${MANAGER_FIELDS} } }
      }`,
  )
  const variables = wanted.flatMap(({ id, systemId }, index) => [
    [`r${index}`, `gid://gitlab/Ci::Runner/${id}`] as const,
    [`s${index}`, systemId] as const,
  ])
  return {
    subject: `runners ${wanted.map(({ id }) => id).join(', ')}`,
    query: `query (${parameters}) { ${aliases.join('\n')} }`,
    variables: Object.fromEntries(variables),
    read: (data: Json) =>
      wanted.map(({ id, systemId }, index) => data.get(`r${index}`).nullable(json => watched(json, id, systemId))),
  }
}

function watched(json: Json, id: number, systemId: string): { runner: GitLabRunner; manager: GitLabManager | null } {
  const runner = runnerFromGraphql(json)
  if (runner.id !== id) throw new ShapeError(`the runner ${runner.id}`, `runner ${id}`)
  const managers = json.get('managers').get('nodes').items().map(managerFromGraphql)
  return { runner, manager: managers.find(manager => manager.systemId === systemId) ?? null }
}

function candidate(node: Json, systemId: string | undefined): RunnerCandidate {
  const shortSha = node.get('shortSha').nullable(sha => sha.string())
  return {
    id: numericId(node.get('id'), 'Ci::Runner'),
    description: node.get('description').nullable(description => description.string()),
    ...(shortSha === null ? {} : { shortSha }),
    ...(systemId === undefined ? {} : { hasManager: hasManager(node, systemId) }),
  }
}

function hasManager(node: Json, systemId: string): boolean {
  const managers = node.get('managers').get('nodes').items()
  return managers.some(manager => manager.get('systemId').string() === systemId)
}

function pageSize(perPage: number): number {
  return Math.min(PAGE_SIZE, Math.max(1, Math.trunc(perPage)))
}
