/**
 * Runs `work` for every item, at most `limit` at a time, and resolves in the items' order. After a failure nothing new is
 * started; it rejects with the first failure once everything under way has ended, so that nothing outlives the call.
 */
export async function fanOut<I, O>(items: readonly I[], limit: number, work: (item: I) => Promise<O>): Promise<O[]> {
  const results = new Map<number, O>()
  const queue = items.entries()
  let failure: { error: unknown } | undefined

  async function drain(): Promise<void> {
    for (const [index, item] of queue) {
      if (failure) return
      try {
        results.set(index, await work(item))
      } catch (error) {
        failure ??= { error }
      }
    }
  }

  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, drain))
  if (failure) throw failure.error
  return [...results].sort(([a], [b]) => a - b).map(([, result]) => result)
}
