import { CONTROL_PATH, HISTORY_BRANCH, STATUS_PATH, statusBranch } from '../../decider/act/publisher.ts'
import { readStatusDocument, type StatusDocument } from '../../decider/documents.ts'
import { fanOut } from '../../lib/gitlab/fan-out.ts'
import type { GitLabDesk, StoredFile } from '../../lib/gitlab/desk-types.ts'
import { GitLabError } from '../../lib/gitlab/types.ts'

const CONCURRENCY = 4
/** Runners of one cluster that are asked for their tags. */
const MAX_ASKED_RUNNERS = 20
/** Newest entries of the audit log, per pool. */
const SHOWN_SWITCHES = 5

export interface ClusterFile {
  cluster: string
  reading: { kind: 'read'; document: StatusDocument } | { kind: 'unreadable'; why: string }
  /** By GitLab's clock. */
  committedMs: number
}

export interface SwitchRecord {
  pool: string
  epoch: number
  cluster: string
  at: string | null
  cause: string | null
  why: string | null
}

/** All that the HADR project says at one moment. */
export interface Scene {
  project: { id: number; path: string; defaultBranch: string }
  control: StoredFile | null
  clusters: readonly ClusterFile[]
  switches: readonly SwitchRecord[]
  /** Tags of the runners behind which pods are available, as far as the token may read them. */
  runnerTags: ReadonlyMap<number, { tags: readonly string[]; paused: boolean }>
  /** GitLab's clock. */
  nowMs: number
}

export interface ReadOptions {
  desk: GitLabDesk
  project: number | string
  /** Audit log and runners' tags, which only people look at. */
  details: boolean
  signal?: AbortSignal
}

/** Rejects with GitLabError where the project cannot be read; what the token may not see besides is left out. */
export async function readScene({ desk, project: reference, details, signal }: ReadOptions): Promise<Scene> {
  const project = await desk.project(reference, signal)
  const { defaultBranch } = project
  if (defaultBranch === null) {
    const why = 'shows no default branch: it is empty, or the role of the token is below Reporter'
    throw new GitLabError('not_found', 'GET /projects/:id', `project ${project.path} ${why}`)
  }
  const [control, branches] = await Promise.all([
    desk.file(project.id, `refs/heads/${defaultBranch}`, CONTROL_PATH, signal),
    desk.branches(project.id, statusBranch(''), signal),
  ])
  const clusters = await fanOut(branches, CONCURRENCY, async ({ name, commitId, committedMs }) => {
    const cluster = name.slice(statusBranch('').length)
    // By commit, so that file and age belong together.
    const file = await desk.file(project.id, commitId, STATUS_PATH, signal)
    const reading = readStatusDocument(file?.content ?? null, cluster)
    return {
      cluster,
      committedMs,
      reading: reading.kind === 'absent' ? { kind: 'unreadable' as const, why: `there is no ${STATUS_PATH}` } : reading,
    }
  })
  return {
    project: { id: project.id, path: project.path, defaultBranch },
    control,
    clusters,
    switches: details ? await readSwitches(desk, project.id, signal) : [],
    runnerTags: details ? await readTags(desk, clusters, signal) : new Map(),
    nowMs: desk.serverNowMs() ?? Math.max(...clusters.map(({ committedMs }) => committedMs), 0),
  }
}

async function readSwitches(desk: GitLabDesk, project: number, signal?: AbortSignal): Promise<SwitchRecord[]> {
  const found = (await desk.paths(project, HISTORY_BRANCH, signal)).flatMap(path => {
    const [, pool, epoch, cluster] = /^([^/]+)\/(\d+)-([^/]+)\.json$/.exec(path) ?? []
    if (pool === undefined || cluster === undefined) return []
    return [{ path, pool, epoch: Number(epoch), cluster }]
  })
  const newest = [...new Set(found.map(({ pool }) => pool))].flatMap(pool =>
    found
      .filter(entry => entry.pool === pool)
      .sort((a, b) => b.epoch - a.epoch)
      .slice(0, SHOWN_SWITCHES),
  )
  return fanOut(newest, CONCURRENCY, async ({ path, pool, epoch, cluster }) => {
    const file = await desk.file(project, `refs/heads/${HISTORY_BRANCH}`, path, signal)
    const entry = parse(file?.content ?? '')
    const text = (name: string) => (typeof entry[name] === 'string' ? entry[name] : null)
    return { pool, epoch, cluster, at: text('at'), cause: text('cause'), why: text('why') }
  })
}

/** A laptop's token need not be able to see runners: what it may not read is left out. */
async function readTags(desk: GitLabDesk, clusters: readonly ClusterFile[], signal?: AbortSignal) {
  const ids = clusters.flatMap(({ reading }) =>
    reading.kind === 'read'
      ? [...new Set(Object.values(reading.document.pools).flatMap(({ servingIds }) => servingIds))].slice(
          0,
          MAX_ASKED_RUNNERS,
        )
      : [],
  )
  const [first, ...others] = [...new Set(ids)]
  const known = new Map<number, { tags: readonly string[]; paused: boolean }>()
  const ask = async (id: number) => {
    try {
      const { tags, paused } = await desk.runner(id, signal)
      known.set(id, { tags, paused })
      return true
    } catch (error) {
      if (error instanceof GitLabError && (error.kind === 'forbidden' || error.kind === 'not_found')) return false
      throw error
    }
  }
  // A token that may not read the first one will hardly read the others.
  if (first !== undefined && (await ask(first))) await fanOut(others, CONCURRENCY, ask)
  return known
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
