import { GraphQLError } from 'graphql'
import { MAX_PAGE_SIZE } from './cost.ts'

export interface PageArguments {
  first?: number | null
  last?: number | null
  after?: string | null
  before?: string | null
}

export interface Connection<T> {
  count: number
  nodes: T[]
  edges: { cursor: string; node: T }[]
  pageInfo: {
    hasNextPage: boolean
    hasPreviousPage: boolean
    startCursor: string | null
    endCursor: string | null
  }
}

/** Numbers that order items strictly, first against first; they make the cursor, too. */
export type SortKey = readonly number[]

/**
 * One page of items. A page goes on behind the place where the last one ended, also when items came or went meanwhile:
 * GitLab's cursors hold the sorted columns, not a position. Pages are never longer than 100, whatever is asked for.
 */
export function connect<T, N>(
  items: readonly T[],
  args: PageArguments,
  options: { sortKey: (item: T) => SortKey; node: (item: T) => N },
): Connection<N> {
  const sorted = items.map(item => ({ key: options.sortKey(item), item })).sort((a, b) => compareKeys(a.key, b.key))
  const after = readCursor(args.after)
  const before = readCursor(args.before)
  const found = (index: number) => (index === -1 ? sorted.length : index)
  let from = after ? found(sorted.findIndex(({ key }) => compareKeys(key, after) > 0)) : 0
  let to = before ? found(sorted.findIndex(({ key }) => compareKeys(key, before) >= 0)) : sorted.length
  const limit = (value: number) => Math.max(0, Math.min(value, MAX_PAGE_SIZE))
  if (typeof args.last === 'number') from = Math.max(from, to - limit(args.last))
  else to = Math.min(to, from + limit(args.first ?? MAX_PAGE_SIZE))
  const edges = sorted.slice(from, to).map(({ key, item }) => ({ cursor: writeCursor(key), node: options.node(item) }))
  return {
    count: items.length,
    nodes: edges.map(({ node }) => node),
    edges,
    pageInfo: {
      hasNextPage: to < sorted.length,
      hasPreviousPage: from > 0,
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
  }
}

function compareKeys(a: SortKey, b: SortKey): number {
  for (const [at, value] of a.entries()) {
    const difference = value - (b[at] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

function writeCursor(key: SortKey): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url')
}

function readCursor(cursor: string | null | undefined): SortKey | undefined {
  if (!cursor) return undefined
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    if (Array.isArray(key) && key.every(value => typeof value === 'number')) return key
  } catch {
    // Falls through: what is no JSON is no cursor either.
  }
  throw new GraphQLError('Please provide a valid cursor')
}
