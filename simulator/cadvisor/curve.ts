/** A value over time, by straight lines between points `[seconds, value]`; before the first and after the last it rests. */
export type Curve = readonly (readonly [seconds: number, value: number])[]

export function valueAt(curve: Curve, seconds: number): number {
  const after = curve.findIndex(([at]) => at > seconds)
  if (after === 0) return curve[0]?.[1] ?? 0
  if (after === -1) return curve.at(-1)?.[1] ?? 0
  const [x0, y0] = curve[after - 1] ?? [0, 0]
  const [x1, y1] = curve[after] ?? [0, 0]
  return y0 + ((y1 - y0) * (seconds - x0)) / (x1 - x0)
}

/** The area below the curve from 0 to `seconds`, exactly. */
export function areaUntil(curve: Curve, seconds: number): number {
  if (seconds <= 0) return 0
  const corners = [0, ...curve.map(([at]) => at).filter(at => at > 0 && at < seconds), seconds]
  return corners.reduce((area, at, index) => {
    const before = corners[index - 1]
    return before === undefined ? area : area + ((valueAt(curve, before) + valueAt(curve, at)) * (at - before)) / 2
  }, 0)
}

export function peakOf(curve: Curve): number {
  return Math.max(...curve.map(([, value]) => value))
}
