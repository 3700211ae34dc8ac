import type { Clock } from '../service/clock.ts'
import type { Log } from '../service/log.ts'
import { fanOut } from './fan-out.ts'
import { GraphqlUnusableError, type Graphql } from './graphql.ts'
import { ShapeError, type Json } from './json.ts'
import { MAX_PAGES, PAGE_SIZE } from './pages.ts'
import type { Paths } from './paths.ts'
import {
  batches,
  openRepository,
  poolQuery,
  readBlob,
  readRunnersPage,
  type OwnerPath,
  type Part,
} from './pool-query.ts'
import type { Repository } from './repository.ts'
import { listedRunner } from './runner-shape.ts'
import type { Runners } from './runners.ts'
import type { FileAddress, FileContent, GitLabRunner, PoolReading, PoolRunner, RunnerOwner } from './types.ts'

/** So long REST is used after GraphQL proved unusable; then GraphQL gets another chance, it may have been upgraded. */
const GRAPHQL_PAUSE_MS = 600_000
/** Requests at once over REST. */
const CONCURRENCY = 4

export type WantedPool = RunnerOwner & { project: number; tags: readonly string[]; files: readonly FileAddress[] }

export interface PoolDeps {
  graphql: Graphql
  runners: Runners
  repository: Repository
  paths: Paths
  clock: Clock
  log: Log
  serverNowMs: () => number | undefined
}

/** Reads pools with GraphQL while that works, otherwise over REST. A reading is whole or rejects. */
export function createPoolReader(deps: PoolDeps) {
  const { clock, log } = deps
  let graphqlFromMs = -Infinity

  return async (wanted: WantedPool, signal: AbortSignal): Promise<PoolReading> => {
    if (clock.monotonicMs() < graphqlFromMs) return await readOverRest(deps, wanted, signal)
    try {
      return await readWithGraphql(deps, wanted, signal)
    } catch (error) {
      if (!(error instanceof GraphqlUnusableError)) throw error
      graphqlFromMs = clock.monotonicMs() + GRAPHQL_PAUSE_MS
      log.warn({ reason: error.message }, 'GraphQL cannot be used, runners and files are read over REST')
      return await readOverRest(deps, wanted, signal)
    }
  }
}

async function readWithGraphql(deps: PoolDeps, wanted: WantedPool, signal: AbortSignal): Promise<PoolReading> {
  const { project, tags, files } = wanted
  const owner: OwnerPath | undefined = tags.length === 0 ? undefined : await ownerPath(deps, wanted, signal)
  const paths = {
    ...(owner && { owner }),
    project: files.length === 0 ? '' : await deps.paths.find('project', project, signal),
  }
  const found = {
    runners: new Map<number, GitLabRunner>(),
    files: new Map<number, FileContent>(),
    seen: new Map<string, Set<number>>(),
    serverMs: undefined as number | undefined,
  }

  let parts: Part[] = [
    ...[...new Set(tags)].map(tag => ({ kind: 'runners' as const, tag, after: undefined })),
    ...files.map((address, index) => ({ kind: 'file' as const, address, index })),
  ]
  for (let page = 1; parts.length > 0; page++) {
    const next: Part[] = []
    for (const batch of batches(parts)) {
      const query = {
        subject: `${nameOfOwner(wanted)}, project ${project}`,
        ...poolQuery(batch, paths),
        read: (data: Json, serverMs: number | undefined) => {
          found.serverMs = serverMs
          return collect(batch, data, page)
        },
      }
      next.push(...(await deps.graphql.query(query, signal)))
    }
    parts = next
  }

  return {
    ...(found.serverMs === undefined ? {} : { serverMs: found.serverMs }),
    runners: [...found.runners.values()].filter(runner => runner.tags.some(tag => tags.includes(tag))),
    tagsComplete: true,
    contactKnown: true,
    files: files.map((_, index) => found.files.get(index) ?? null),
  }

  /** Takes a query's answer in and returns what must be asked next. */
  function collect(batch: readonly Part[], data: Json, page: number): Part[] {
    const next: Part[] = []
    for (const [index, part] of batch.entries()) {
      if (part.kind === 'file') {
        const repository = openRepository(deps.paths.open('project', project, data.get('project')), project)
        found.files.set(part.index, readBlob(repository.get(`p${index}`), part.address.path))
      } else {
        const connection = openOwner(deps, wanted, data).get(`p${index}`)
        const after = collectRunners(connection, part.tag, page)
        if (after !== undefined) next.push({ ...part, after })
      }
    }
    return next
  }

  /** Takes a page of a tag's runners in and returns the cursor of the next one. */
  function collectRunners(connection: Json, tag: string, page: number): string | undefined {
    const { runners, count, after } = readRunnersPage(connection)
    const seen = found.seen.get(tag) ?? new Set()
    found.seen.set(tag, seen)
    for (const runner of runners) {
      seen.add(runner.id)
      found.runners.set(runner.id, runner)
    }
    if (after === undefined) {
      // GitLab counts before it leaves out, in silence, what the token may not see.
      if (seen.size < count) throw new ShapeError(`the list of ${seen.size} runners with tag ${tag}`, `${count} long`)
    } else if (page >= MAX_PAGES) {
      throw new ShapeError(`the list of runners with tag ${tag}`, `at most ${MAX_PAGES * PAGE_SIZE} long`)
    }
    return after
  }
}

async function ownerPath({ paths }: PoolDeps, owner: RunnerOwner, signal: AbortSignal): Promise<OwnerPath> {
  if ('group' in owner) return { kind: 'group', path: await paths.find('group', owner.group, signal) }
  if ('runnersProject' in owner) {
    return { kind: 'project', path: await paths.find('project', owner.runnersProject, signal) }
  }
  return { kind: 'instance' }
}

/** What holds the lists of runners in an answer. */
function openOwner({ paths }: PoolDeps, owner: RunnerOwner, data: Json): Json {
  if ('group' in owner) return paths.open('group', owner.group, data.get('group'))
  return 'runnersProject' in owner ? paths.open('project', owner.runnersProject, data.get('owner')) : data
}

function nameOfOwner(owner: RunnerOwner): string {
  if ('group' in owner) return `group ${owner.group}`
  return 'runnersProject' in owner ? `runners of project ${owner.runnersProject}` : 'runners of the instance'
}

async function readOverRest(deps: PoolDeps, wanted: WantedPool, signal: AbortSignal): Promise<PoolReading> {
  const { project, tags, files } = wanted
  const lists = await fanOut([...new Set(tags)], CONCURRENCY, async tag => ({
    tag,
    items: await deps.runners.tagged(wanted, tag, signal),
  }))
  const contents = await fanOut(files, CONCURRENCY, address => deps.repository.file(project, address, signal))

  const runners = new Map<number, PoolRunner>()
  for (const { tag, items } of lists) {
    for (const item of items) {
      const listed = listedRunner(item)
      const before = runners.get(listed.id)?.tags ?? []
      if (!before.includes(tag)) runners.set(listed.id, { ...listed, tags: [...before, tag], contactedAtMs: null })
    }
  }
  const serverMs = deps.serverNowMs()
  return {
    ...(serverMs === undefined ? {} : { serverMs }),
    runners: [...runners.values()],
    tagsComplete: false,
    contactKnown: false,
    files: contents,
  }
}
