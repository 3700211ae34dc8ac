const SUFFIXES: Readonly<Record<string, readonly [factor: number, divisor: number]>> = {
  n: [1, 1e9],
  u: [1, 1e6],
  m: [1, 1e3],
  '': [1, 1],
  k: [1e3, 1],
  M: [1e6, 1],
  G: [1e9, 1],
  T: [1e12, 1],
  P: [1e15, 1],
  E: [1e18, 1],
  Ki: [2 ** 10, 1],
  Mi: [2 ** 20, 1],
  Gi: [2 ** 30, 1],
  Ti: [2 ** 40, 1],
  Pi: [2 ** 50, 1],
  Ei: [2 ** 60, 1],
}

/**
 * A Kubernetes quantity in its base unit (cores, bytes); undefined for what is none or is negative. Two ways to write
 * one amount give one number: `100m` and `0.1`, `1Gi` and `1024Mi`. In YAML an amount may be a number.
 */
export function parseQuantity(value: unknown): number | undefined {
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'bigint') return undefined
  const [, digits, suffix = '', exponent = ''] =
    /^\+?(\d+\.?\d*|\.\d+)(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,3}))?$/.exec(String(value)) ?? []
  const scale = SUFFIXES[suffix]
  if (digits === undefined || scale === undefined) return undefined
  const [factor, divisor] = scale
  return (Number(exponent === '' ? digits : `${digits}e${exponent}`) * factor) / divisor
}
