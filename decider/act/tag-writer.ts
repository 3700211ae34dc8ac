import { type GitLabClient, GitLabError } from '../../lib/gitlab/types.ts'
import { type Clock, DeadlineError, withDeadline } from '../../lib/service/clock.ts'
import type { WriteGuard } from './write-guard.ts'
import { createWriteQueue } from './write-queue.ts'

export const WRITE_RESULTS = ['done', 'unchanged', 'expired', 'mismatch', 'failed', 'ambiguous'] as const
/**
 * What became of a write. `unchanged`: it was right already. `expired`: not sent, because its deadline had passed or this
 * process may no longer write.
 * `mismatch`: the runner is not what the plan took it for, or GitLab kept something else. `ambiguous`: GitLab may have
 * applied it; the next cycle's read tells.
 */
export type WriteResult = (typeof WRITE_RESULTS)[number]

/** A moment by both clocks: a suspended machine stops the monotonic one, and anybody can set the other. */
export interface Instant {
  monotonicMs: number
  wallMs: number
}

export interface TagWrite {
  runnerId: number
  mainTag: string
  /** Add the main tag, or remove it. */
  present: boolean
  /** The tag of the cluster that the runner must still belong to. */
  clusterTag: string
  /** Nothing is sent any more from this instant on. */
  deadline: Instant
  /** Missing: this process may always write. */
  guard?: WriteGuard
}

export interface TagWriter {
  /** Never rejects. `onSend` is called right before the one request that changes something. */
  write(write: TagWrite, onSend?: () => void): Promise<{ result: WriteResult; why?: string }>
}

/**
 * The one writer of tags of a process: GET, change only the main tag, nothing if it is right already, PUT the whole
 * list, compare the answer. GitLab replaces whole lists and has no precondition for it, so writes to one runner wait
 * for each other (a runner may serve two pools), and unrelated tags are taken from a read made just before.
 */
export function createTagWriter({ gitlab, clock }: { gitlab: GitLabClient; clock: Clock }): TagWriter {
  const busy = new Map<number, Promise<unknown>>()
  const queue = createWriteQueue(clock)

  const timeLeft = ({ monotonicMs, wallMs }: Instant) =>
    Math.min(monotonicMs - clock.monotonicMs(), wallMs - clock.wallMs())

  const wanted = ({ deadline, guard }: TagWrite) => timeLeft(deadline) > 0 && guard?.maySend() !== false

  async function writeNow(write: TagWrite, onSend: () => void): Promise<{ result: WriteResult; why?: string }> {
    if (!wanted(write)) return { result: 'expired' }
    const leftMs = timeLeft(write.deadline)
    const progress = { sent: false }
    try {
      const send = async (signal: AbortSignal) => {
        const runner = await gitlab.runner(write.runnerId, signal)
        if (runner.tags.includes(write.mainTag) === write.present) return { result: 'unchanged' as const }
        if (!runner.tags.includes(write.clusterTag)) {
          return { result: 'mismatch' as const, why: `it no longer carries the cluster tag ${write.clusterTag}` }
        }
        const others = runner.tags.filter(tag => tag !== write.mainTag)
        const tags = write.present ? [...others, write.mainTag] : others
        if (!wanted(write)) return { result: 'expired' as const }
        progress.sent = true
        onSend()
        const after = await gitlab.replaceTags(write.runnerId, tags, signal)
        const kept = tags.length === after.tags.length && tags.every(tag => after.tags.includes(tag))
        return kept
          ? { result: 'done' as const }
          : { result: 'mismatch' as const, why: `GitLab kept ${after.tags.join(', ') || 'no tags'}` }
      }
      return await withDeadline(clock, leftMs, send, write.guard?.over)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      const unclear = error instanceof DeadlineError || !(error instanceof GitLabError) || error.ambiguous
      return { result: progress.sent && unclear ? 'ambiguous' : 'failed', why }
    }
  }

  return {
    async write(write, onSend = () => undefined) {
      const before = busy.get(write.runnerId) ?? Promise.resolve()
      const inTurn = () =>
        queue.run(
          write.mainTag,
          () => wanted(write),
          () => writeNow(write, onSend),
        )
      const turn = before.then(inTurn)
      busy.set(write.runnerId, turn)
      try {
        return await turn
      } finally {
        if (busy.get(write.runnerId) === turn) busy.delete(write.runnerId)
      }
    },
  }
}
