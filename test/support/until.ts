import { systemClock, withDeadline } from '../../lib/service/clock.ts'

/** Resolves when `holds`, asked often; rejects, naming `what`, when that takes longer than `withinMs`. */
export async function until(what: string, withinMs: number, holds: () => boolean | Promise<boolean>): Promise<void> {
  await withDeadline(systemClock, withinMs, async signal => {
    while (!(await holds())) await systemClock.sleep(50, signal)
  }).catch((error: unknown) => {
    throw new Error(`not seen: ${what}`, { cause: error })
  })
}
