import type { Log } from '../lib/service/log.ts'
import type { Exchange } from './exchange.ts'
import { labelsFor, sentenceFor, type Reviewed } from './review.ts'

/**
 * One line for each review that was answered: who, what became of it and why, never what the pod holds. What never
 * became a review is in the metrics, and for developers at level debug.
 */
export function logExchange(log: Log, { outcome, durationMs, result }: Exchange<Reviewed>): void {
  const ms = Math.round(durationMs * 100) / 100
  if (result === undefined || 'refused' in result) {
    const refused = result === undefined ? {} : { refused: result.refused }
    log.debug({ exchange: outcome, ...refused, ms }, 'a request that is no review')
    return
  }
  const { subject, warnings } = result
  const fields = {
    ...subject,
    ...labelsFor(result.outcome),
    warnings: warnings.length > 0 ? warnings : undefined,
    exchange: outcome === 'answered' ? undefined : outcome,
    ms,
  }
  if (result.outcome.kind === 'failed') log.error({ ...fields, err: result.outcome.error }, sentenceFor(result.outcome))
  else log.info(fields, sentenceFor(result.outcome))
}
