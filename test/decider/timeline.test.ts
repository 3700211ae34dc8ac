import fc from 'fast-check'
import t from 'tap'
import { createTimeline } from '../../decider/status/timeline.ts'

const at = (second: number) => new Date(second * 1000).toISOString()

t.test('only changes of the holders are kept, oldest first', t => {
  const timeline = createTimeline()
  for (const [second, holders] of [['a'], ['a'], ['a', 'b'], ['b'], ['b'], []].entries()) {
    timeline.saw(second * 1000, holders)
  }
  t.strictSame(timeline.entries(), [
    { at: at(0), holders: ['a'] },
    { at: at(2), holders: ['a', 'b'] },
    { at: at(3), holders: ['b'] },
    { at: at(5), holders: [] },
  ])
  t.end()
})

t.test('an outage of GitLab is told while it lasts, and afterwards only if the holders changed meanwhile', t => {
  const timeline = createTimeline()
  timeline.saw(0, ['a'])
  timeline.saw(1000, null)
  timeline.saw(2000, null)
  t.strictSame(timeline.entries().at(-1), { at: at(1), holders: null })
  timeline.saw(3000, ['a'])
  t.strictSame(timeline.entries(), [{ at: at(0), holders: ['a'] }])
  timeline.saw(4000, null)
  timeline.saw(5000, ['b'])
  t.strictSame(
    timeline.entries().map(({ holders }) => holders),
    [['a'], null, ['b']],
  )
  t.end()
})

t.test('an outage at the start is part of the story', t => {
  const timeline = createTimeline()
  timeline.saw(0, null)
  timeline.saw(1000, ['a'])
  t.strictSame(
    timeline.entries().map(({ holders }) => holders),
    [null, ['a']],
  )
  t.end()
})

t.test('whatever happens, it is bounded, never says the same twice in a row, and ends with what was seen last', t => {
  const holders = fc.option(fc.subarray(['a', 'b', 'c']), { nil: null })
  fc.assert(
    fc.property(fc.array(holders, { minLength: 1, maxLength: 60 }), fc.integer({ min: 2, max: 10 }), (seen, kept) => {
      const timeline = createTimeline(kept)
      for (const [second, each] of seen.entries()) timeline.saw(second * 1000, each)
      const entries = timeline.entries()
      t.ok(entries.length <= kept)
      t.strictSame(entries.at(-1)?.holders, seen.at(-1))
      t.ok(
        entries.every(({ holders }, index) => index === 0 || String(holders) !== String(entries[index - 1]?.holders)),
      )
      t.same(
        entries.map(entry => entry.at),
        entries.map(entry => entry.at).toSorted(),
      )
    }),
    { numRuns: 200 },
  )
  t.end()
})
