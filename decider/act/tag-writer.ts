import { type GitLabClient, GitLabError } from '../../lib/gitlab/types.ts'
import { type Clock, DeadlineError, withDeadline } from '../../lib/service/clock.ts'

export const WRITE_RESULTS = ['done', 'unchanged', 'expired', 'mismatch', 'failed', 'ambiguous'] as const
/**
 * What became of a write. `unchanged`: it was right already. `expired`: its deadline passed before it was sent.
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
}

export interface TagWriter {
  /** Never rejects. `onSend` is called right before the one request that changes something. */
  write(write: TagWrite, onSend?: () => void): Promise<{ result: WriteResult; why?: string }>
}

/** Writes of one process at the same time; GitLab's limits are per user. */
const CONCURRENCY = 4

/**
 * The one writer of tags of a process: GET, change only the main tag, nothing if it is right already, PUT the whole
 * list, compare the answer. GitLab replaces whole lists and has no precondition for it, so writes to one runner wait
 * for each other (a runner may serve two pools), and unrelated tags are taken from a read made just before.
 */
export function createTagWriter({ gitlab, clock }: { gitlab: GitLabClient; clock: Clock }): TagWriter {
  const busy = new Map<number, Promise<unknown>>()
  const gate = createGate(CONCURRENCY)

  const timeLeft = ({ monotonicMs, wallMs }: Instant) =>
    Math.min(monotonicMs - clock.monotonicMs(), wallMs - clock.wallMs())

  async function writeNow(write: TagWrite, onSend: () => void): Promise<{ result: WriteResult; why?: string }> {
    const leftMs = timeLeft(write.deadline)
    if (leftMs <= 0) return { result: 'expired' }
    const progress = { sent: false }
    try {
      return await withDeadline(clock, leftMs, async signal => {
        const runner = await gitlab.runner(write.runnerId, signal)
        if (runner.tags.includes(write.mainTag) === write.present) return { result: 'unchanged' as const }
        if (!runner.tags.includes(write.clusterTag)) {
          return { result: 'mismatch' as const, why: `it no longer carries the cluster tag ${write.clusterTag}` }
        }
        const others = runner.tags.filter(tag => tag !== write.mainTag)
        const tags = write.present ? [...others, write.mainTag] : others
        if (timeLeft(write.deadline) <= 0) return { result: 'expired' as const }
        progress.sent = true
        onSend()
        const after = await gitlab.replaceTags(write.runnerId, tags, signal)
        const kept = tags.length === after.tags.length && tags.every(tag => after.tags.includes(tag))
        return kept
          ? { result: 'done' as const }
          : { result: 'mismatch' as const, why: `GitLab kept ${after.tags.join(', ') || 'no tags'}` }
      })
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      const unclear = error instanceof DeadlineError || !(error instanceof GitLabError) || error.ambiguous
      return { result: progress.sent && unclear ? 'ambiguous' : 'failed', why }
    }
  }

  return {
    async write(write, onSend = () => undefined) {
      const before = busy.get(write.runnerId) ?? Promise.resolve()
      const turn = before.then(() => gate(() => writeNow(write, onSend)))
      busy.set(write.runnerId, turn)
      try {
        return await turn
      } finally {
        if (busy.get(write.runnerId) === turn) busy.delete(write.runnerId)
      }
    },
  }
}

/** Lets at most `width` pieces of work run at once, in the order they came. */
function createGate(width: number) {
  const waiting: (() => void)[] = []
  let running = 0
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (running >= width) await new Promise<void>(resolve => waiting.push(resolve))
    else running++
    try {
      return await work()
    } finally {
      // The place is handed on, so that nobody who comes meanwhile can take it.
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
}
