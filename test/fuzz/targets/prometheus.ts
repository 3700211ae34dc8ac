import fc from 'fast-check'
import { readInstantAnswer, readRangeAnswer } from '../../../lib/prometheus/answer.ts'
import { mutatedDocuments, mutatedTexts } from '../../support/mutations.ts'
import type { FuzzTarget } from '../target.ts'

const metric = { __name__: 'gitlab_runner_hadr_sidecar_available', pod_name: 'gl-1' }
const answers = [
  { resultType: 'vector', result: [{ metric, value: [1_700_000_000.1, '1'] }] },
  { resultType: 'vector', result: [] },
  { resultType: 'scalar', result: [1_700_000_000, 'NaN'] },
  { resultType: 'matrix', result: [{ metric, values: [[1_700_000_000, '1'], [1_700_000_015, '+Inf']] }] }, // prettier-ignore
].map(data => ({ status: 'success', data, warnings: ['PromQL info'] }))
const refusal = { status: 'error', errorType: 'bad_data', error: 'parse error' }
const documents = [...answers, refusal]

/** Answers of Prometheus, or of something else at its address: always a result or a named failure. */
export const prometheus: FuzzTarget = {
  name: 'prometheus',
  input: fc.oneof(
    mutatedDocuments(documents, [
      { path: [], weight: 1 },
      { path: ['data', 'result'], weight: 3 },
    ]).map(given => JSON.stringify(given)),
    mutatedTexts(
      documents.map(document => JSON.stringify(document)),
      ['"NaN"', '1e400', 'null'],
    ),
  ),
  check: input => {
    const status = input.length % 3 === 0 ? 400 : 200
    const instant = readInstantAnswer(status, input)
    const range = readRangeAnswer(status, input)
    const samples = 'samples' in instant ? instant.samples : []
    for (const { value } of samples) {
      if (value !== undefined && !Number.isFinite(value)) throw new Error(`a sample of ${value}`)
    }
    return 'message' in instant && 'message' in range ? instant.kind : 'result'
  },
}
