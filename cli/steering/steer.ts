import { CONTROL_PATH } from '../../decider/act/publisher.ts'
import { changeControl, type ControlRequest } from '../../decider/control.ts'
import type { GitLabDesk } from '../../lib/gitlab/desk-types.ts'
import { GitLabError } from '../../lib/gitlab/types.ts'
import type { Clock, Random } from '../../lib/service/clock.ts'
import { poolNames, SILENT_AFTER_MS, wordsOf } from './overview.ts'
import { readScene, type Scene } from './read.ts'

/** Several people at once are few; a loop must end. */
const MAX_ATTEMPTS = 6
const RETRY_MS = 400

/** A request before it is known what time GitLab has. */
export type Wanted =
  | { kind: 'pin'; pool: string; to: string; forMs: number; why: string; force: boolean }
  | { kind: 'pause'; pool: string; forMs: number; why: string }
  | { kind: 'resume'; pool: string }

export type Steered =
  /** `scene` is what it was decided on. */
  | { kind: 'written'; scene: Scene; untilMs: number | null; pruned: readonly string[] }
  | { kind: 'unchanged'; why: string }
  | { kind: 'refused'; why: string; mend: string }

export interface SteerOptions {
  desk: GitLabDesk
  project: number | string
  wanted: Wanted
  clock: Clock
  random: Random
  /** Told what goes on while somebody waits. */
  progress: (line: string) => void
  signal?: AbortSignal
}

/**
 * Writes one wish into `control.json` of the default branch. Somebody else's change in between is read and decided on
 * anew, so that no wish is lost. Rejects with GitLabError.
 */
export async function steer(options: SteerOptions): Promise<Steered> {
  const { desk, project, wanted, clock, random, progress, signal } = options
  const { username } = await desk.user(signal)
  for (let attempt = 1; ; attempt++) {
    const scene = await readScene({ desk, project, details: false, ...(signal && { signal }) })
    const request = requestOf(wanted, username, scene.nowMs)
    const answer = changeControl(scene.control?.content ?? null, request, {
      words: wordsOf(scene, wanted.pool),
      pools: poolNames(scene),
      nowMs: scene.nowMs,
      silentAfterMs: SILENT_AFTER_MS,
    })
    if (answer.kind !== 'changed') return answer
    try {
      await desk.save(
        {
          project: scene.project.id,
          branch: scene.project.defaultBranch,
          path: CONTROL_PATH,
          content: answer.content,
          message: `${sentenceOf(request)} [skip ci]`,
          base: scene.control?.lastCommitId ?? null,
        },
        signal,
      )
      return {
        kind: 'written',
        scene,
        untilMs: request.kind === 'resume' ? null : request.untilMs,
        pruned: answer.pruned,
      }
    } catch (error) {
      if (error instanceof GitLabError && (error.kind === 'forbidden' || error.kind === 'refused')) {
        const mend = 'To write control.json takes the role Maintainer in the HADR project and the scope api.'
        return { kind: 'refused', why: error.message, mend }
      }
      if (!(error instanceof GitLabError) || error.kind !== 'conflict' || attempt === MAX_ATTEMPTS) throw error
      progress('Somebody else changed control.json meanwhile; reading it again.')
      await clock.sleep(RETRY_MS * attempt * (0.5 + random()), signal)
    }
  }
}

function requestOf(wanted: Wanted, by: string, nowMs: number): ControlRequest {
  const { kind, pool } = wanted
  if (kind === 'resume') return { kind, pool }
  const common = { pool, untilMs: nowMs + wanted.forMs, by, why: wanted.why }
  return kind === 'pause' ? { kind, ...common } : { kind, ...common, to: wanted.to, force: wanted.force }
}

/** The commit's message: the project's history is the record of who steered. */
function sentenceOf(request: ControlRequest): string {
  switch (request.kind) {
    case 'resume':
      return `Resume ${request.pool}`
    case 'pause':
      return `Pause ${request.pool} until ${new Date(request.untilMs).toISOString()}`
    case 'pin':
      return `Pin ${request.pool} to ${request.to} until ${new Date(request.untilMs).toISOString()}`
  }
}
