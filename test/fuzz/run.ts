import fc from 'fast-check'
import type { FuzzTarget } from './target.ts'

export interface RunOptions {
  seed: number
  count: number
  /** Ends the run early, without failing it. */
  limitMs: number
  /** Called before each input is tried. */
  onCase: () => void
}

export interface RunResult {
  tried: number
  /** How often each outcome came. */
  outcomes: Readonly<Record<string, number>>
  /** The smallest input that was found to fail, and how. */
  failure?: { input: string; error: string }
}

/** Tries inputs until one fails, all are tried or the time is over; a failing one is made smaller before it is told. */
export async function run(target: FuzzTarget, options: RunOptions): Promise<RunResult> {
  const { seed, count, limitMs, onCase } = options
  const outcomes: Record<string, number> = {}
  const details = await fc.check(
    fc.asyncProperty(target.input, async input => {
      onCase()
      const outcome = await target.check(input)
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
    }),
    { seed, numRuns: count, interruptAfterTimeLimit: limitMs, markInterruptAsFailure: false },
  )
  if (!details.failed) return { tried: details.numRuns, outcomes }
  const [input = ''] = details.counterexample ?? []
  const { errorInstance } = details
  const error = errorInstance instanceof Error ? (errorInstance.stack ?? errorInstance.message) : String(errorInstance)
  const cause = errorInstance instanceof Error && errorInstance.cause instanceof Error ? errorInstance.cause.stack : ''
  return { tried: details.numRuns, outcomes, failure: { input, error: `${error}\n${cause ?? ''}`.trim() } }
}

/** The input that the `number`th case of a run is about, counted from 1; nothing is tried. */
export function inputAt(target: FuzzTarget, seed: number, number: number): string {
  let made = 0
  let found = ''
  fc.check(
    fc.property(target.input, input => {
      found = input
      return ++made < number
    }),
    { seed, numRuns: number, endOnFailure: true },
  )
  return found
}
