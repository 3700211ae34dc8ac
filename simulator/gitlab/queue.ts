import type { Clock, Random } from '../../lib/service/clock.ts'
import { uniqueHex, type GitLabTiming, type ServerTime } from './timing.ts'

export interface QueueDeps {
  clock: Clock
  random: Random
  time: ServerTime
  timing: GitLabTiming
}

/**
 * The Redis keys `runner:build_queue:TOKEN` and Workhorse's watch on them. A poll that repeats the current value is
 * kept and answered by Workhorse alone, so that Rails neither sees the runner nor refreshes its contact.
 */
export class RunnerQueue {
  readonly #deps: QueueDeps
  readonly #keys = new Map<string, { value: string; expiresAtMs: number }>()
  readonly #watches = new Map<string, Set<AbortController>>()
  #sequence = 0

  constructor(deps: QueueDeps) {
    this.#deps = deps
  }

  /** Undefined when the key expired or never was. */
  current(token: string): string | undefined {
    const key = this.#keys.get(token)
    if (key && key.expiresAtMs > this.#deps.time.nowMs()) return key.value
    this.#keys.delete(token)
    return undefined
  }

  /** A new value, and every watch of it ends. */
  tick(token: string): void {
    this.#set(token)
  }

  /** The current value; a new one only when there is none. Does not prolong its life. */
  ensure(token: string): string {
    return this.current(token) ?? this.#set(token)
  }

  forget(token: string): void {
    this.#keys.delete(token)
  }

  /** `pass` when the poll must go through to Rails, `answered` when Workhorse has kept it and answers 204 itself. */
  async intercept(token: string, lastUpdate: string, signal?: AbortSignal): Promise<'pass' | 'answered'> {
    const { longPollMs } = this.#deps.timing
    if (longPollMs === 0 || token === '' || lastUpdate === '') return 'pass'
    if (this.current(token) !== lastUpdate) return 'pass'
    if (longPollMs >= 1) await this.#untilChange(token, longPollMs, signal)
    return 'answered'
  }

  /** Ends every watch, so that nothing keeps the process alive. */
  close(): void {
    for (const token of [...this.#watches.keys()]) this.#wake(token)
  }

  #set(token: string): string {
    const value = uniqueHex(this.#deps.random, this.#sequence++, 32)
    this.#keys.set(token, { value, expiresAtMs: this.#deps.time.nowMs() + this.#deps.timing.queueKeyTtlMs })
    this.#wake(token)
    return value
  }

  async #untilChange(token: string, ms: number, signal?: AbortSignal): Promise<void> {
    const watch = new AbortController()
    const watches = this.#watches.get(token) ?? new Set()
    this.#watches.set(token, watches.add(watch))
    const onAbort = () => watch.abort()
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      await this.#deps.clock.sleep(ms, watch.signal)
    } catch (error) {
      if (!watch.signal.aborted) throw error
    } finally {
      signal?.removeEventListener('abort', onAbort)
      watches.delete(watch)
      if (watches.size === 0 && this.#watches.get(token) === watches) this.#watches.delete(token)
    }
  }

  #wake(token: string): void {
    for (const watch of this.#watches.get(token) ?? []) watch.abort()
  }
}
