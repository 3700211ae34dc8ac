const MAX_TOTAL = 4096
const MAX_TRUNCATED = 256
/** A header cannot carry control characters; such a warning is dropped as a whole. */
const UNFIT = /[\p{Cc}]/u

/**
 * The warnings that reach the client: without repetitions, and once their sum passes 4096 characters each cut to 256 and
 * the rest dropped.
 */
export function collectWarnings(texts: readonly string[]): string[] {
  const fit = [...new Set(texts)].filter(text => text !== '' && !UNFIT.test(text))
  const whole: string[] = []
  let written = 0
  for (const [index, text] of fit.entries()) {
    const length = Array.from(text).length
    if (written + length > MAX_TOTAL) return truncated(fit, index)
    written += length
    whole.push(text)
  }
  return whole
}

function truncated(texts: readonly string[], passedAt: number): string[] {
  const cut: string[] = []
  let written = 0
  for (const [index, text] of texts.entries()) {
    if (index > passedAt && written >= MAX_TOTAL) break
    const short = Array.from(text).slice(0, MAX_TRUNCATED)
    written += short.length
    cut.push(short.join(''))
  }
  return cut
}
