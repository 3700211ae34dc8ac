import type { Clock } from './clock.ts'
import type { Log } from './log.ts'

/**
 * What a program must stop, in the order in which it was started. Parts are stopped last in, first out, one after the
 * other, because a later part may use an earlier one until its own end.
 */
export class StopStack {
  readonly #parts: { name: string; stop: () => void | Promise<void> }[] = []
  #drained: Promise<readonly string[]> | undefined

  constructor(private readonly deps: { clock: Clock; log: Log }) {}

  /** `name` appears in the log when the part fails to stop or is late. */
  add(name: string, stop: () => void | Promise<void>): void {
    this.#parts.push({ name, stop })
  }

  /**
   * Stops everything and answers with the names of the parts that failed or were not done in time. Never rejects, and
   * resolves within `withinMs` even when a part hangs: the parts below it are told to stop all the same, but nobody
   * waits for them. A second call gets the first one's answer.
   */
  drain({ withinMs }: { withinMs: number }): Promise<readonly string[]> {
    this.#drained ??= this.#drain(withinMs)
    return this.#drained
  }

  async #drain(withinMs: number): Promise<readonly string[]> {
    const { clock, log } = this.deps
    let cancel: () => void = () => undefined
    const deadline = new Promise<'late'>(resolve => {
      cancel = clock.after(withinMs, () => resolve('late'))
    })
    const unclean: string[] = []
    for (const { name, stop } of this.#parts.reverse()) {
      const outcome = await Promise.race([settle(stop), deadline])
      if (outcome === 'stopped') continue
      unclean.push(name)
      if (outcome === 'late') log.warn({ part: name, withinMs }, 'a part did not stop in time')
      else log.error({ part: name, err: outcome }, 'a part failed to stop')
    }
    cancel()
    return unclean
  }
}

async function settle(stop: () => void | Promise<void>): Promise<'stopped' | Error> {
  try {
    await stop()
    return 'stopped'
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}
