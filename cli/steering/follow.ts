import type { ClusterWord } from '../../decider/control.ts'
import type { GitLabDesk } from '../../lib/gitlab/desk-types.ts'
import { GitLabError } from '../../lib/gitlab/types.ts'
import type { Clock } from '../../lib/service/clock.ts'
import { formatDuration } from './duration.ts'
import { holderOf, SILENT_AFTER_MS, wordsOf } from './overview.ts'
import { readScene } from './read.ts'

const EVERY_MS = 3000

export interface FollowOptions {
  desk: GitLabDesk
  project: number | string
  pool: string
  to: string
  withinMs: number
  clock: Clock
  progress: (line: string) => void
  signal?: AbortSignal
}

export type Followed = { moved: true; tookMs: number } | { moved: false; why: string }

/**
 * Waits until the target holds the main tag and nobody who is heard of holds it besides. A GitLab that cannot be read for
 * a while is waited for, too. Rejects only with the signal's reason.
 */
export async function follow(options: FollowOptions): Promise<Followed> {
  const { desk, project, pool, to, withinMs, clock, progress, signal } = options
  const startMs = clock.monotonicMs()
  let told = ''
  for (;;) {
    const state = await look()
    const tookMs = clock.monotonicMs() - startMs
    if (state.done) return { moved: true, tookMs }
    if (state.why !== told) progress(`${formatDuration(tookMs).padStart(6)}  ${state.why}`)
    told = state.why
    if (tookMs + EVERY_MS > withinMs) return { moved: false, why: state.why }
    await clock.sleep(EVERY_MS, signal)
  }

  async function look(): Promise<{ done: boolean; why: string }> {
    try {
      const scene = await readScene({ desk, project, details: false, ...(signal && { signal }) })
      return judge(wordsOf(scene, pool), to)
    } catch (error) {
      if (!(error instanceof GitLabError) || signal?.aborted) throw error
      return { done: false, why: `GitLab cannot be read: ${error.message}` }
    }
  }
}

/** How far a switch has come. Pure. */
export function judge(words: readonly ClusterWord[], to: string): { done: boolean; why: string } {
  const target = words.find(({ cluster }) => cluster === to)
  if (!target?.status) return { done: false, why: `The status file of cluster ${to} cannot be read.` }
  if (target.status.active && holderOf(words)?.cluster === to) {
    const others = words.filter(
      ({ cluster, status, ageMs }) => cluster !== to && status?.active && ageMs <= SILENT_AFTER_MS,
    )
    if (others.length === 0) return { done: true, why: '' }
    return {
      done: false,
      why: `Cluster ${to} has taken the main tag; ${others.map(({ cluster }) => cluster).join(' and ')} gives it up once it sees that.`,
    }
  }
  if (target.ageMs > SILENT_AFTER_MS) return { done: false, why: `The decider of cluster ${to} is silent.` }
  if (target.status.available === 0) return { done: false, why: `Cluster ${to} has no available runner any more.` }
  return { done: false, why: `Cluster ${to}: ${WORDS[target.status.reason] ?? target.status.reason}.` }
}

/** The published states in words, as somebody sees them who waits for this cluster to take over. */
const WORDS: Readonly<Record<string, string>> = {
  STANDBY: 'its decider has not read the pin yet (it looks every 5 to 10 s)',
  WAITING: 'it waits, since a removal of its own may still be under way or its strength is not known',
  PROMOTING: 'it is taking the main tag',
  PAUSED: 'its decider still takes the pool as paused',
  HOLD: 'its decider cannot read GitLab',
  CONFIG_MISMATCH: 'the deciders work with different configurations, so nothing moves',
  PEER_DECIDER_DOWN: 'another cluster’s decider is silent',
  DEMOTING: 'it is giving up an earlier claim',
  ACTIVE: 'it holds the main tag, but another claim is higher',
}
