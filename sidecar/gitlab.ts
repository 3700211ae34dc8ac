import { GitLabError } from '../lib/gitlab/types.ts'
import { DeadlineError, withDeadline } from '../lib/service/clock.ts'
import type { TokenSource } from '../lib/service/token-source.ts'
import { createIdentities, type IdentitiesOptions, type Identity } from './identities.ts'
import type { Wanted } from './match.ts'

/** What GitLab says, as far as it is recent enough to count. */
export interface GitLabView {
  /** Whether the last check came to its end; undefined while there was none, or no token was meant to be there. */
  checkOk: boolean | undefined
  /** Whether GitLab gave any answer lately, a refusal included; undefined while it was not asked lately. */
  answers: boolean | undefined
  /** One per runner id that was given, else one per `[[runners]]` entry; one without marks when nothing is known. */
  identities: readonly Identity[]
  /** Runners of the group; undefined while unknown, and where GitLab does not count them (over 10,000). */
  total: number | undefined
  /** Checks since the start. */
  checks: { success: number; failed: number }
  /** Milliseconds since 1970. */
  lastSuccessWallMs: number | undefined
}

export interface GitLabWatch {
  /** Asks GitLab once: at most two requests, and a bounded search while a runner's id is not known. Never rejects. */
  check(entries: readonly Wanted[], signal: AbortSignal): Promise<void>
  /** How long GitLab wants to be left alone, in milliseconds from now. */
  pauseMs(): number
  view(entries: readonly Wanted[]): GitLabView
}

export interface GitLabWatchOptions extends IdentitiesOptions {
  tokens: TokenSource
}

/** For all requests of one check, a search included. */
const CHECK_DEADLINE_MS = 45_000

export function createGitLabWatch(options: GitLabWatchOptions): GitLabWatch {
  const { client, tokens, group, clock, notices, timing } = options
  const identities = createIdentities(options)
  const checks = { success: 0, failed: 0 }
  let lastToken: string | undefined
  let lastCheck: { ok: boolean; answered: boolean; atMs: number } | undefined
  let lastSuccessWallMs: number | undefined
  let total: { value: number; atMs: number } | undefined
  let totalForbidden = false
  let quietUntilMs = 0
  let tokenProblem = false

  async function askTotal(signal: AbortSignal): Promise<void> {
    if (client === undefined || group === undefined || totalForbidden) return
    try {
      const value = await client.groupRunnerTotal(group, signal)
      total = value === undefined ? undefined : { value, atMs: clock.monotonicMs() }
    } catch (error) {
      // A token that may read its own runner only is a proper choice: it works, without a total.
      if (!(error instanceof GitLabError) || error.kind !== 'forbidden' || !identities.allKnown()) throw error
      totalForbidden = true
      notices('total', 'forbidden', 'info', { group }, 'the token may not list the group; there will be no total')
    }
  }

  async function run(entries: readonly Wanted[], signal: AbortSignal): Promise<GitLabError | undefined> {
    let first: GitLabError | undefined
    for (const step of [() => identities.refresh(entries, signal), () => askTotal(signal)]) {
      try {
        await step()
      } catch (error) {
        if (!(error instanceof GitLabError)) throw error
        first ??= error
        // The other question would fare no better, and would only add to what troubles GitLab.
        if (error.kind === 'unavailable' || error.kind === 'rate_limited' || error.kind === 'unauthorized') break
      }
    }
    return first
  }

  function conclude(failure: GitLabError | undefined): void {
    const answered = failure === undefined || (failure.kind !== 'unavailable' && failure.kind !== 'invalid_answer')
    lastCheck = { ok: failure === undefined, answered, atMs: clock.monotonicMs() }
    if (failure === undefined) {
      checks.success += 1
      lastSuccessWallMs = clock.wallMs()
      notices('gitlab', 'ok', 'info', { group }, 'GitLab answers')
      return
    }
    checks.failed += 1
    quietUntilMs = clock.monotonicMs() + (failure.more.retryAfterMs ?? 0)
    const fields = { kind: failure.kind, problem: failure.message, mend: MENDS[failure.kind] }
    notices('gitlab', failure.kind, 'warn', fields, 'GitLab was asked in vain; local facts decide')
  }

  return {
    check: async (entries, signal) => {
      const reading = await tokens.read()
      tokenProblem = reading.token === undefined && reading.problem !== undefined
      if (client === undefined || reading.token === undefined) {
        lastCheck = undefined
        notices(
          'gitlab',
          'not asked',
          'info',
          {},
          'GitLab is not asked, for lack of its URL or a token; local facts decide',
        )
        return
      }
      if (reading.token !== lastToken) {
        totalForbidden = false
        identities.reconsider()
      }
      lastToken = reading.token
      const failure = await withDeadline(clock, CHECK_DEADLINE_MS, deadline => run(entries, deadline), signal).catch(
        asFailure,
      )
      if (!signal.aborted) conclude(failure)
    },
    pauseMs: () => Math.max(0, quietUntilMs - clock.monotonicMs()),
    view: entries => {
      const nowMs = clock.monotonicMs()
      // Two checks may fail before GitLab's word is forgotten.
      const maxAgeMs = 3 * timing.statusCheckMs + timing.startSpreadMs
      const recent = lastCheck !== undefined && nowMs - lastCheck.atMs <= maxAgeMs ? lastCheck : undefined
      return {
        checkOk: tokenProblem ? false : recent?.ok,
        answers: recent?.answered,
        identities: identities.view(entries, maxAgeMs),
        total: total !== undefined && nowMs - total.atMs <= maxAgeMs ? total.value : undefined,
        checks: { ...checks },
        lastSuccessWallMs,
      }
    },
  }
}

/** A fault of this program must not end it, and is as good as no answer. */
function asFailure(error: unknown): GitLabError {
  if (error instanceof GitLabError) return error
  const kind = error instanceof DeadlineError ? 'unavailable' : 'invalid_answer'
  return new GitLabError(kind, 'check', error instanceof Error ? error.message : String(error), { cause: error })
}

const MENDS: Readonly<Record<GitLabError['kind'], string>> = {
  unauthorized: 'the token is wrong, revoked or expired; give a new one in the token file',
  forbidden:
    'the token needs the scope read_api and the role Maintainer in the group, or manage_runner and --runner-id',
  not_found: 'check --gitlab-group-id and --runner-id; GitLab also says this of what the token cannot see',
  conflict: 'none needed if it does not last',
  rate_limited: 'raise --status-check-interval, or the limit in GitLab',
  unavailable: 'check --gitlab-url and the network from this pod to GitLab',
  invalid_answer: 'check that --gitlab-url is a GitLab and no proxy page',
  refused: 'check --gitlab-group-id',
}
