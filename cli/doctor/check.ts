import { setMaxListeners } from 'node:events'
import { GitLabError } from '../../lib/gitlab/types.ts'
import { KubernetesError } from '../../lib/kubernetes/errors.ts'
import { DeadlineError, withDeadline, type Clock } from '../../lib/service/clock.ts'

export type Verdict =
  | { status: 'ok'; detail: string }
  /** Something must be mended, and this is how. */
  | { status: 'failed'; detail: string; mend: string }
  /** Nobody can tell from here, and this is why. */
  | { status: 'skipped'; detail: string }

export interface Check<Context> {
  /** Stable; scripts know it. */
  id: string
  title: string
  /** The right without which it is skipped, as in `needs …`. */
  needs: string
  run(context: Context, signal: AbortSignal): Promise<Verdict>
}

export interface Result {
  id: string
  title: string
  verdict: Verdict
}

export const ok = (detail: string): Verdict => ({ status: 'ok', detail })
export const failed = (detail: string, mend: string): Verdict => ({ status: 'failed', detail, mend })
export const skipped = (detail: string): Verdict => ({ status: 'skipped', detail })

/** Ends a check that has not got what it would judge. */
export class Skip extends Error {}

export interface RunOptions {
  clock: Clock
  /** Of each check. */
  deadlineMs: number
  signal: AbortSignal
  /** In the order of the checks, each as soon as it and all before it are known. */
  onResult: (result: Result) => void
  /** How many are still at work, whenever that changes. */
  onProgress?: (waitingFor: readonly string[]) => void
}

/** Runs all checks at once; one that throws or hangs takes no other with it. Never rejects. */
export async function runChecks<Context>(
  checks: readonly Check<Context>[],
  context: Context,
  { clock, deadlineMs, signal, onResult, onProgress }: RunOptions,
): Promise<Result[]> {
  // Every check listens to it; Node would take so many for a leak.
  setMaxListeners(0, signal)
  const waiting = new Set(checks.map(({ title }) => title))
  const running = checks.map(async check => {
    const verdict = await withDeadline(clock, deadlineMs, inner => attempt(check, context, inner), signal)
    waiting.delete(check.title)
    onProgress?.([...waiting])
    return { id: check.id, title: check.title, verdict }
  })
  const results: Result[] = []
  for (const result of running) {
    results.push(await result)
    onResult(await result)
  }
  return results
}

async function attempt<Context>(check: Check<Context>, context: Context, signal: AbortSignal): Promise<Verdict> {
  let stop = (): void => undefined
  const late = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason as Error)
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([check.run(context, signal), late])
  } catch (error) {
    return verdictOf(error, check.needs)
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** What may not be read is no fault of what would have been checked; what does not answer has a check of its own. */
function verdictOf(error: unknown, needs: string): Verdict {
  if (error instanceof Skip) return skipped(error.message)
  if (error instanceof DeadlineError) return skipped(`not checked: ${error.message}`)
  if (error instanceof GitLabError || error instanceof KubernetesError) {
    const mayNot = error.kind === 'forbidden'
    return skipped(mayNot ? `needs ${needs}` : `not checked: ${error.message}`)
  }
  return skipped(`not checked: ${error instanceof Error ? error.message : String(error)}`)
}
