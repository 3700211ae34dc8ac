import fc from 'fast-check'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { mutatedDocuments, strangeValues } from '../support/mutations.ts'

const FOLDER = 'test/recordings/kubernetes/admission-reviews'

/** Bodies of reviews as a real API server sent them, by the recording's name. */
export const recordedBodies: ReadonlyMap<string, string> = new Map(
  readdirSync(FOLDER).map(file => {
    const { bodyText } = JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as { bodyText: string }
    return [file.replace(/\.json$/, ''), bodyText]
  }),
)

/** Recorded reviews with parts replaced, most of them below the pod, and now and then anything else. */
export const mutatedReviews: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 1, arbitrary: strangeValues },
  {
    weight: 20,
    arbitrary: mutatedDocuments(
      [...recordedBodies.values()].map(text => JSON.parse(text) as unknown),
      [
        { path: ['request', 'object'], weight: 8 },
        { path: ['request'], weight: 2 },
        { path: [], weight: 1 },
      ],
    ),
  },
)
