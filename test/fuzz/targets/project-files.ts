import fc from 'fast-check'
import { readControl, readPoolStatus } from '../../../decider/documents.ts'
import { mutatedDocuments, mutatedTexts } from '../../support/mutations.ts'
import type { FuzzTarget } from '../target.ts'

const part = {
  digest: 'd',
  epoch: 3,
  active: true,
  available: 4,
  total: 5,
  desired: null,
  lastKnown: 4,
  unknownForSeconds: 0,
  servingIds: [10, 11],
  reason: 'ACTIVE',
}
const wish = { until: '2026-11-22T06:00:00Z', by: 'ann', why: 'upgrade' }
const documents = [
  { schema: 1, cluster: 'a', seq: 7, decider: { id: 'pod-1', version: '1.0.0' }, pools: { rnd: part } },
  { schema: 1, pools: { rnd: { pause: wish, pin: { ...wish, to: 'a', force: true } } } },
]

/** Files of the HADR project, which other versions and people write: always read, absent or unreadable. */
export const projectFiles: FuzzTarget = {
  name: 'project-files',
  input: fc.oneof(
    mutatedDocuments(documents, [
      { path: [], weight: 1 },
      { path: ['pools', 'rnd'], weight: 4 },
    ]).map(given => JSON.stringify(given)),
    mutatedTexts(
      documents.map(document => JSON.stringify(document)),
      ['__proto__', '9007199254740993', '-1'],
    ),
  ),
  check: input => {
    const status = readPoolStatus(input, 'a', 'rnd')
    const control = readControl(input, 'rnd')
    if (status.kind === 'read' && !Number.isSafeInteger(status.status.epoch))
      throw new Error('an epoch that cannot be compared')
    return status.kind === 'read' ? 'status' : control.kind === 'read' ? 'control' : 'unreadable'
  },
}
