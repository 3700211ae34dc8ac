import { type GitLabClient, GitLabError } from '../../lib/gitlab/types.ts'
import type { Clock } from '../../lib/service/clock.ts'
import type { StatusDocument } from '../documents.ts'
import type { PoolStatus, Word } from '../model.ts'
import { inKeeping } from '../word.ts'
import type { WriteGuard } from './write-guard.ts'

export const STATUS_PATH = 'status.json'
export const CONTROL_PATH = 'control.json'
export const HISTORY_BRANCH = 'hadr-history'

/** The branch of a cluster's status file. */
export function statusBranch(cluster: string): string {
  return `hadr/${cluster}`
}

export interface PublisherDeps {
  /** Its token may push to this cluster's branch. */
  gitlab: GitLabClient
  clock: Clock
  project: number
  cluster: string
  decider: { id: string; version: string }
  /** The pools of this cluster now: parts of others are left out. Missing: nobody knows, and every part is kept. */
  pools?: () => readonly string[]
  /** Aborts when the lease is lost: then even a write under way is given up. */
  over?: AbortSignal
}

/**
 * The one writer of this cluster's status file. Pools hand it their part; parts that come while a write is under way
 * go out together with the next one.
 */
export interface Publisher {
  /** The document that was read; keeps the seq growing and, at start, the parts of pools that have not spoken yet. */
  adopt(document: StatusDocument): void
  /** Resolves with the seq that carries this part. Rejects with GitLabError; an `ambiguous` one may have been applied. */
  publish(pool: string, part: PoolStatus, guard?: WriteGuard): Promise<number>
  /** Publishes `leaving: true` once, for people; what fails is of no account. */
  leave(): Promise<void>
  /** When this process published a seq, on the monotonic clock; undefined: it did not, or that was long ago. */
  publishedAt(seq: number): number | undefined
  /** What this process last sent of a pool's claim, unless surely refused. */
  wordOf(pool: string): Word | undefined
  readonly lastPublishMonotonicMs: number | undefined
  /** When a publish last failed in such a way that it may still land. */
  readonly doubtMonotonicMs: number | undefined
}

/** How many of the newest seqs are remembered; only the last few can still be read back. */
const REMEMBERED_SEQS = 50

export function createPublisher(deps: PublisherDeps): Publisher {
  const { gitlab, clock, project, cluster, decider, over } = deps
  let parts: Record<string, PoolStatus> = {}
  /** The parts of the newest document that surely went out, or was read. */
  let said: Record<string, PoolStatus> = {}
  /** By pool: the claim in the newest document that went out, or may have. */
  const words = new Map<string, Word>()
  let seq = 0
  let leaving = false
  let startSha: string | undefined
  let lastPublishMonotonicMs: number | undefined
  let doubtMonotonicMs: number | undefined
  const published = new Map<number, number>()
  let queue: Promise<unknown> = Promise.resolve()
  let next: Promise<number> | undefined

  async function write(): Promise<number> {
    startSha ??= (await gitlab.defaultBranch(project, over)).commitId
    const wanted = deps.pools?.()
    if (wanted) parts = only(parts, wanted)
    if (over?.aborted) throw unsent('this process no longer leads')
    // Counted before the write: a seq whose fate is unknown is never used again.
    const mine = ++seq
    const document: StatusDocument = {
      schema: 1,
      cluster,
      seq: mine,
      decider,
      ...(leaving ? { leaving } : {}),
      pools: { ...parts },
    }
    try {
      await gitlab.replaceBranchFile(
        {
          project,
          branch: statusBranch(cluster),
          startSha,
          path: STATUS_PATH,
          content: `${JSON.stringify(document, null, 2)}\n`,
          message: `Status of cluster ${cluster}, seq ${mine} [skip ci]`,
        },
        over,
      )
    } catch (error) {
      // The start may be gone (a rewritten default branch), so it is looked up again next time.
      startSha = undefined
      if (!(error instanceof GitLabError) || error.ambiguous) {
        doubtMonotonicMs = clock.monotonicMs()
        remember(document)
      }
      throw error
    }
    remember(document)
    said = document.pools
    lastPublishMonotonicMs = clock.monotonicMs()
    published.set(mine, lastPublishMonotonicMs)
    for (const old of published.keys()) if (published.size > REMEMBERED_SEQS) published.delete(old)
    return mine
  }

  function enqueue(): Promise<number> {
    // At most one write waits behind the one under way, and it carries whatever was handed in by the time it starts.
    next ??= queue
      .catch(() => undefined)
      .then(() => {
        next = undefined
        const writing = write()
        queue = writing
        return writing
      })
    return next
  }

  function remember({ seq, pools }: StatusDocument): void {
    for (const [pool, { epoch, active }] of Object.entries(pools)) words.set(pool, { seq, epoch, active })
  }

  return {
    adopt(document) {
      seq = Math.max(seq, document.seq)
      parts = { ...document.pools, ...parts }
      said = { ...document.pools, ...said }
    },
    async publish(pool, part, guard) {
      if (guard?.maySend() === false) throw unsent('this process stops or no longer leads')
      parts = { ...parts, [pool]: part }
      try {
        return await enqueue()
      } catch (error) {
        // What could not be said now must not be said later, in another pool's heartbeat: the next cycle decides anew.
        const before = said[pool]
        if (parts[pool] === part) {
          parts = before ? { ...parts, [pool]: inKeeping(before, words.get(pool)) } : omit(parts, pool)
        }
        throw error
      }
    },
    async leave() {
      leaving = true
      await enqueue().catch(() => undefined)
    },
    publishedAt: wanted => published.get(wanted),
    wordOf: pool => words.get(pool),
    get lastPublishMonotonicMs() {
      return lastPublishMonotonicMs
    },
    get doubtMonotonicMs() {
      return doubtMonotonicMs
    },
  }
}

function unsent(why: string): GitLabError {
  return new GitLabError('refused', 'POST /projects/:id/repository/commits', `not sent: ${why}`)
}

function only(parts: Record<string, PoolStatus>, pools: readonly string[]): Record<string, PoolStatus> {
  return Object.fromEntries(Object.entries(parts).filter(([name]) => pools.includes(name)))
}

function omit(parts: Record<string, PoolStatus>, pool: string): Record<string, PoolStatus> {
  return Object.fromEntries(Object.entries(parts).filter(([name]) => name !== pool))
}
