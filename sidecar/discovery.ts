import { GitLabError, type GitLabClient, type GitLabErrorKind, type RunnerCandidate } from '../lib/gitlab/types.ts'
import { better, chosen, likeness, type Best, type Wanted } from './match.ts'

type Stage = 'name' | 'graphql' | 'rest'

/** An unfinished search, to be given back for the next part of it. */
export interface SearchState {
  stage: Stage
  /** Names whose GraphQL search by description is still to be done. */
  names: readonly string[]
  cursor?: string
  best: ReadonlyMap<string, Best>
}

export interface SearchResult {
  /** Runner ids by short token. */
  found: ReadonlyMap<string, number>
  /** Undefined when the search came to its end: what was not found then is not there, as far as the token can see. */
  unfinished: SearchState | undefined
}

/** Whether GraphQL answers this token; whoever finds it closed says so here, and others need not try. */
export interface GraphqlAccess {
  open: boolean
}

export interface DiscoveryDeps {
  client: GitLabClient
  access: GraphqlAccess
  group: string
  /** What the runner's description may be: the pod's names. */
  names: readonly string[]
  /** Runners per page, at most 100. */
  perPage: number
}

/** Requests of one part of a search; with 100 runners a page a part covers 800 runners. */
const REQUESTS_PER_PART = 8

/** True when GraphQL is closed to the token or missing behind a proxy; any other failure is no reason to try REST. */
export function closesGraphql(error: unknown): error is GitLabError {
  return error instanceof GitLabError && !PASSING.has(error.kind)
}

const PASSING: ReadonlySet<GitLabErrorKind> = new Set<GitLabErrorKind>(['unavailable', 'rate_limited', 'conflict'])

/**
 * Searches the group for this pod's runners: by description, then page by page for token and process marks (GraphQL),
 * then page by page by description (REST, where lists have no other mark). Does a bounded part of the search per call.
 * Rejects with GitLabError when GitLab cannot be asked; the search is then to be continued from the same state.
 */
export async function search(
  deps: DiscoveryDeps,
  wanted: readonly Wanted[],
  from: SearchState | undefined,
  signal?: AbortSignal,
): Promise<SearchResult> {
  const names = new Set(deps.names)
  const best = new Map(from?.best)
  let state: SearchState = from ?? startOf(deps)
  for (let requests = 0; requests < REQUESTS_PER_PART; requests += 1) {
    let page: { runners: readonly RunnerCandidate[]; nextCursor?: string }
    try {
      page = await ask(deps, wanted, state, signal)
    } catch (error) {
      if (state.stage === 'rest' || !closesGraphql(error)) throw error
      deps.access.open = false
      state = { stage: 'rest', names: [], best }
      continue
    }
    for (const candidate of page.runners) {
      for (const entry of wanted) {
        const seen = likeness(candidate, entry, names)
        if (seen !== undefined) {
          best.set(entry.shortToken, better(best.get(entry.shortToken), candidate.id, seen))
        }
      }
    }
    const next = after(state, page.nextCursor, wanted, best)
    if (next === undefined || wanted.every(entry => isSettled(entry, best.get(entry.shortToken), state, next))) {
      return { found: decide(best), unfinished: undefined }
    }
    state = next
  }
  return { found: new Map(), unfinished: state }
}

function startOf({ names, access }: DiscoveryDeps): SearchState {
  if (!access.open) return { stage: 'rest', names: [], best: new Map() }
  return { stage: names.length > 0 ? 'name' : 'graphql', names, best: new Map() }
}

function ask(
  { client, group, perPage }: DiscoveryDeps,
  wanted: readonly Wanted[],
  { stage, names, cursor }: SearchState,
  signal: AbortSignal | undefined,
): ReturnType<GitLabClient['groupRunnerPage']> {
  const systemId = wanted.find(entry => entry.systemId !== '')?.systemId
  const description = stage === 'name' ? names[0] : undefined
  return client.groupRunnerPage(
    group,
    {
      perPage,
      via: stage === 'rest' ? 'rest' : 'graphql',
      ...(description === undefined ? {} : { description }),
      ...(systemId === undefined || stage === 'rest' ? {} : { systemId }),
      ...(cursor === undefined ? {} : { cursor }),
    },
    signal,
  )
}

/** Where the search goes on; undefined at its end. A search by a pod's name fills no second page. */
function after(
  state: SearchState,
  nextCursor: string | undefined,
  wanted: readonly Wanted[],
  best: SearchState['best'],
): SearchState | undefined {
  switch (state.stage) {
    case 'name': {
      const names = state.names.slice(1)
      if (names.length > 0) return { stage: 'name', names, best }
      const marked = wanted.some(entry => entry.shortToken !== '' || entry.systemId !== '')
      return { stage: marked ? 'graphql' : 'rest', names, best }
    }
    case 'graphql':
      return nextCursor === undefined
        ? { stage: 'rest', names: [], best }
        : { stage: 'graphql', names: [], cursor: nextCursor, best }
    case 'rest':
      return nextCursor === undefined ? undefined : { stage: 'rest', names: [], cursor: nextCursor, best }
  }
}

/**
 * Whether more pages cannot change the choice for an entry. In the search by name GitLab itself has looked at all
 * runners, so a name will do where the runner's metrics gave no mark to compare; the other marks need all pages.
 */
function isSettled(entry: Wanted, best: Best | undefined, asked: SearchState, next: SearchState): boolean {
  switch (best?.likeness) {
    case undefined:
      return false
    case 'certain':
      return true
    case 'token':
    case 'process':
      return asked.stage === 'graphql' && next.stage === 'rest'
    case 'name':
      return asked.stage === 'name' && next.stage !== 'name' && entry.shortToken === ''
  }
}

function decide(best: ReadonlyMap<string, Best>): ReadonlyMap<string, number> {
  const found = new Map<string, number>()
  for (const [shortToken, candidates] of best) {
    const id = chosen(candidates)
    if (id !== undefined) found.set(shortToken, id)
  }
  return found
}
