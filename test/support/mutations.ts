import fc from 'fast-check'

/** Values that programs tend to forget. */
export const strangeValues: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(null, '', 0, true, [], {}, [null], '__proto__', 'Always', 2 ** 60) },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
)

export type Step = string | number

/** Another value for one place of a document; undefined takes the place out. */
export interface Edit {
  steps: Step[]
  value: unknown
}

/**
 * One of `documents` with one to three places replaced or taken out. Places are found below one of `beginnings`, paths of
 * keys; each as often as its weight says.
 */
export function mutatedDocuments(
  documents: readonly unknown[],
  beginnings: readonly { path: readonly string[]; weight: number }[] = [{ path: [], weight: 1 }],
): fc.Arbitrary<unknown> {
  // Without bias, or nearly all edits would hit the first key.
  const steps = fc.array(fc.noBias(fc.nat()), { minLength: 1, maxLength: 6 })
  const edit: fc.Arbitrary<Edit> = fc.record({
    steps: fc.oneof(
      ...beginnings.map(({ path, weight }) => ({ weight, arbitrary: steps.map((more): Step[] => [...path, ...more]) })),
    ),
    value: fc.option(strangeValues, { nil: undefined }),
  })
  return fc
    .tuple(fc.nat({ max: documents.length - 1 }), fc.array(edit, { minLength: 1, maxLength: 3 }))
    .map(([index, edits]) =>
      edits.reduce((value, { steps: path, value: put }) => replaceAt(value, path, put), documents[index]),
    )
}

/** One of `texts` with up to four slices cut, doubled, or overwritten by `words` and characters of all kinds. */
export function mutatedTexts(texts: readonly string[], words: readonly string[] = []): fc.Arbitrary<string> {
  const inserted = fc.oneof(fc.constantFrom('', '\u0000', '\r\n', '\ufeff', '"', '\\', ...words), fc.string())
  const cut = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    length: fc.oneof(fc.nat({ max: 8 }), fc.nat({ max: 500 })),
    put: fc.oneof(inserted, fc.constant(undefined)),
  })
  return fc.tuple(fc.nat({ max: texts.length - 1 }), fc.array(cut, { maxLength: 4 })).map(([index, cuts]) =>
    cuts.reduce((text, { at, length, put }) => {
      const start = Math.floor(at * text.length)
      const slice = text.slice(start, start + length)
      return text.slice(0, start) + (put ?? slice + slice) + text.slice(start + length)
    }, texts[index] ?? ''),
  )
}

/** A copy in which one place, found by walking `steps`, holds `put`; undefined takes the place out. */
export function replaceAt(value: unknown, [step, ...rest]: readonly Step[], put: unknown): unknown {
  if (step === undefined || typeof value !== 'object' || value === null) return put
  const keys = Object.keys(value)
  const key = typeof step === 'string' ? step : keys[step % keys.length]
  if (key === undefined || (Array.isArray(value) && !(Number(key) < value.length))) return put
  const child = replaceAt((value as Record<string, unknown>)[key], rest, put)
  if (Array.isArray(value)) return value.with(Number(key), child)
  return { ...value, [key]: child }
}
