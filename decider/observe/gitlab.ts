import { type GitLabClient, type PoolReading, type RunnerOwner, GitLabError } from '../../lib/gitlab/types.ts'
import type { Clock } from '../../lib/service/clock.ts'
import { type StatusDocument, readControl, readPoolStatus, readStatusDocument } from '../documents.ts'
import type { FileReading, GitLabView, PoolConfig } from '../model.ts'
import { viewRunner } from '../pool.ts'

export interface GitLabReaderDeps {
  /** Reads the owner's runners. */
  runners: GitLabClient
  /** Reads the HADR project; the same client where one token does both. */
  project: GitLabClient
  clock: Clock
  owner: RunnerOwner
  projectId: number
  files: { statusPath: string; controlPath: string; statusBranch: (cluster: string) => string }
}

export type GitLabLook =
  { readable: true; view: GitLabView; ownDocument?: StatusDocument } | { readable: false; why: string }

/**
 * One look at everything that a pool's decision needs from GitLab: all or nothing, since half a look could take a
 * missing half for an empty one. `contactOf` names runners whose contact time is needed. Never rejects.
 */
export type GitLabReader = (pool: PoolConfig, contactOf: readonly number[], signal: AbortSignal) => Promise<GitLabLook>

export function createGitLabReader(deps: GitLabReaderDeps): GitLabReader {
  const { clock, owner, projectId, files } = deps
  let controlBranch: string | undefined

  async function read(pool: PoolConfig, contactOf: readonly number[], signal: AbortSignal): Promise<GitLabLook> {
    controlBranch ??= (await deps.project.defaultBranch(projectId, signal)).name
    const tags = [...pool.clusters.map(cluster => cluster.tag), pool.mainTag]
    const addresses = [
      ...pool.clusters.map(({ name }) => ({ branch: files.statusBranch(name), path: files.statusPath })),
      { branch: controlBranch, path: files.controlPath },
    ]
    const ask = { ...owner, project: projectId }
    const [runnersReading, filesReading] =
      deps.runners === deps.project
        ? await deps.runners.readPool({ ...ask, tags, files: addresses }, signal).then(both => [both, both] as const)
        : await Promise.all([
            deps.runners.readPool({ ...ask, tags, files: [] }, signal),
            deps.project.readPool({ ...ask, tags: [], files: addresses }, signal),
          ])
    const runners = await withContacts(runnersReading, contactOf, signal)
    const contactKnown = (id: number) => runnersReading.contactKnown || contactOf.includes(id)

    const statuses: Record<string, FileReading> = {}
    let ownDocument: StatusDocument | undefined
    for (const [index, { name }] of pool.clusters.entries()) {
      const content = filesReading.files[index] ?? null
      statuses[name] = readPoolStatus(content, name, pool.name)
      if (name !== pool.self) continue
      const own = readStatusDocument(content, name)
      if (own.kind === 'read') ownDocument = own.document
    }
    const view: GitLabView = {
      readable: true,
      serverMs: filesReading.serverMs ?? runnersReading.serverMs ?? clock.wallMs(),
      runners: runners.map(runner => viewRunner(runner, contactKnown(runner.id), pool)),
      files: statuses,
      control: readControl(filesReading.files[pool.clusters.length] ?? null, pool.name),
    }
    return { readable: true, view, ...(ownDocument ? { ownDocument } : {}) }
  }

  /** REST lists do not tell contact times; runners that are being asked whether they live are read one by one. */
  async function withContacts(reading: PoolReading, contactOf: readonly number[], signal: AbortSignal) {
    if (reading.contactKnown || contactOf.length === 0) return reading.runners
    return Promise.all(
      reading.runners.map(async runner => {
        if (!contactOf.includes(runner.id)) return runner
        const { contactedAtMs } = await deps.runners.runner(runner.id, signal)
        return { ...runner, contactedAtMs }
      }),
    )
  }

  return async (pool, contactOf, signal) => {
    try {
      return await read(pool, contactOf, signal)
    } catch (error) {
      // A renamed default branch shows as a missing one.
      if (error instanceof GitLabError && error.kind === 'not_found') controlBranch = undefined
      return { readable: false, why: error instanceof Error ? error.message : String(error) }
    }
  }
}
