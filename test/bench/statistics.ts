/** The value below which `share` of the sorted values lie, by nearest rank; NaN when there are none. */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? NaN
}

export function median(values: readonly number[]): number {
  return percentile(
    values.toSorted((a, b) => a - b),
    0.5,
  )
}

/**
 * The median of the quotients of each round. What a machine does to all servers of a round alike (a busy neighbour, a
 * lower clock) is not in it. Rounds that only one of them had do not count.
 */
export function medianRatio(values: readonly number[], references: readonly number[]): number {
  const rounds = Math.min(values.length, references.length)
  return median(values.slice(0, rounds).map((value, round) => value / (references[round] ?? NaN)))
}

/**
 * The exponent of the power law that fits the points best: 0 does not grow, 1 grows as the size does, 2 with its square.
 * NaN for fewer than two points.
 */
export function orderOfGrowth(points: readonly (readonly [size: number, value: number])[]): number {
  const logs = points.map(([size, value]) => [Math.log(size), Math.log(value)] as const)
  const mean = (pick: (log: readonly [number, number]) => number) =>
    logs.reduce((sum, log) => sum + pick(log), 0) / logs.length
  const [x, y] = [mean(log => log[0]), mean(log => log[1])]
  const covariance = mean(log => (log[0] - x) * (log[1] - y))
  const variance = mean(log => (log[0] - x) ** 2)
  return variance === 0 ? NaN : covariance / variance
}
