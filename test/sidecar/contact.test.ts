import fc from 'fast-check'
import t from 'tap'
import { foldContact, judgeContact, type Contact, type ContactState } from '../../sidecar/contact.ts'

const STALE_MS = 180_000

interface Reading {
  atMs: number
  good?: number
  refused?: number
  unhealthy?: number
  full?: boolean
}

function contactAfter(readings: readonly Reading[], nowMs: number): Contact {
  let state: ContactState | undefined
  for (const { atMs, good = 0, refused = 0, unhealthy = 0, full = false } of readings) {
    state = foldContact(state, { counters: { good, refused, unhealthy }, full }, atMs)
  }
  return state === undefined ? 'never' : judgeContact(state, nowMs, STALE_MS)
}

const cases: readonly { name: string; readings: readonly Reading[]; nowMs: number; is: Contact }[] = [
  { name: 'high counters at the first look prove nothing', readings: [{ atMs: 0, good: 900 }], nowMs: 0, is: 'never' },
  {
    name: 'the first growth is the first proof',
    readings: [
      { atMs: 0, good: 900 },
      { atMs: 5_000, good: 901 },
    ],
    nowMs: 5_000,
    is: 'good',
  },
  {
    name: 'one millisecond before the limit the contact is still good',
    readings: [{ atMs: 0 }, { atMs: 5_000, good: 1 }],
    nowMs: 184_999,
    is: 'good',
  },
  {
    name: 'no growth for the whole limit is stale',
    readings: [{ atMs: 0 }, { atMs: 5_000, good: 1 }],
    nowMs: 185_000,
    is: 'stale',
  },
  {
    name: 'a runner that was full all the time did not need to ask',
    readings: [{ atMs: 0 }, { atMs: 5_000, good: 1, full: true }, { atMs: 900_000, good: 1, full: true }],
    nowMs: 900_000,
    is: 'good',
  },
  {
    name: 'the wait begins when a slot becomes free',
    readings: [
      { atMs: 0 },
      { atMs: 5_000, good: 1, full: true },
      { atMs: 900_000, good: 1, full: true },
      { atMs: 905_000, good: 1 },
    ],
    nowMs: 1_084_999,
    is: 'good',
  },
  {
    name: 'a refusal after the last success explains a stale contact',
    readings: [{ atMs: 0 }, { atMs: 5_000, good: 1 }, { atMs: 10_000, good: 1, refused: 1 }],
    nowMs: 185_000,
    is: 'refused',
  },
  {
    name: 'a refusal alone is not yet a lost contact',
    readings: [{ atMs: 0 }, { atMs: 5_000, good: 1 }, { atMs: 10_000, good: 1, refused: 1 }],
    nowMs: 60_000,
    is: 'good',
  },
  {
    name: 'a success after a refusal forgives it',
    readings: [{ atMs: 0 }, { atMs: 5_000, refused: 1 }, { atMs: 10_000, good: 1, refused: 1 }],
    nowMs: 190_000,
    is: 'stale',
  },
  {
    name: 'old refusals at the first look do not count',
    readings: [
      { atMs: 0, good: 5, refused: 7 },
      { atMs: 5_000, good: 6, refused: 7 },
    ],
    nowMs: 185_000,
    is: 'stale',
  },
  {
    name: 'unhealthy answers explain a stale contact',
    readings: [{ atMs: 0 }, { atMs: 5_000, good: 1 }, { atMs: 10_000, good: 1, unhealthy: 3 }],
    nowMs: 185_000,
    is: 'broken',
  },
  {
    name: 'a refusal explains more than the circuit breaker that it tripped',
    readings: [{ atMs: 0 }, { atMs: 5_000, refused: 3, unhealthy: 3 }],
    nowMs: 180_000,
    is: 'refused',
  },
  {
    name: 'a runner that was refused from the start is known to be refused',
    readings: [
      { atMs: 0, refused: 1 },
      { atMs: 5_000, refused: 2 },
    ],
    nowMs: 180_000,
    is: 'refused',
  },
  {
    name: 'a restarted process must prove itself anew',
    readings: [
      { atMs: 0, good: 5 },
      { atMs: 5_000, good: 6 },
      { atMs: 10_000, good: 0 },
    ],
    nowMs: 10_000,
    is: 'never',
  },
  {
    name: 'successes since the restart prove it at once',
    readings: [
      { atMs: 0, good: 50 },
      { atMs: 5_000, good: 51 },
      { atMs: 10_000, good: 2 },
    ],
    nowMs: 10_000,
    is: 'good',
  },
  {
    name: 'refusals of the former process are forgotten with it',
    readings: [
      { atMs: 0, good: 5 },
      { atMs: 5_000, good: 5, refused: 4 },
      { atMs: 10_000, good: 0, refused: 0 },
    ],
    nowMs: 190_000,
    is: 'never',
  },
]
for (const { name, readings, nowMs, is } of cases) {
  t.test(name, t => {
    t.equal(contactAfter(readings, nowMs), is)
    t.end()
  })
}

t.test('without a growth of the good answers nothing makes a contact good', t => {
  const reading = fc.record({ refused: fc.nat(9), unhealthy: fc.nat(9), full: fc.boolean() })
  fc.assert(
    fc.property(fc.array(reading, { minLength: 1 }), fc.nat(400_000), (readings, waitMs) => {
      const timed = readings.map((step, index) => ({ ...step, good: 0, atMs: index * 5_000 }))
      return contactAfter(timed, timed.length * 5_000 + waitMs) !== 'good'
    }),
  )
  t.end()
})

t.test('a growth in the newest reading is always a good contact, whatever came before', t => {
  const reading = fc.record({ good: fc.nat(9), refused: fc.nat(9), unhealthy: fc.nat(9), full: fc.boolean() })
  fc.assert(
    fc.property(fc.array(reading, { minLength: 1 }), readings => {
      const timed = readings.map((step, index) => ({ ...step, atMs: index * 5_000 }))
      const last = timed.at(-1)
      if (last === undefined) return false
      const nowMs = last.atMs + 5_000
      return contactAfter([...timed, { ...last, good: last.good + 1, atMs: nowMs }], nowMs) === 'good'
    }),
  )
  t.end()
})
