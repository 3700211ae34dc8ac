import t from 'tap'
import { bundleOf, trusted, type Authorities, type Authority } from '../../certs/authorities.ts'
import { plan, type Leaf, type RotationState } from '../../certs/plan.ts'

const DAY_MS = 24 * 3_600_000
const config = { leafLifeMs: 7 * DAY_MS, settleMs: 300_000 }
const nowMs = Date.UTC(2026, 5, 1)

function authority(name: string, ageDays = 1, lifeDays = 365): Authority {
  const notBeforeMs = nowMs - ageDays * DAY_MS
  return {
    pem: `${name}\n`,
    fingerprint: name,
    key: `key of ${name}`,
    notBeforeMs,
    notAfterMs: notBeforeMs + lifeDays * DAY_MS,
  }
}

function leafOf(issuer: string, ageDays = 1): Leaf {
  const notBeforeMs = nowMs - ageDays * DAY_MS
  return { issuer, notBeforeMs, notAfterMs: notBeforeMs + 7 * DAY_MS, renewAtMs: notBeforeMs + 4.5 * DAY_MS }
}

const empty: Authorities = { signing: undefined, next: undefined, retired: [], retiredAtMs: undefined }

/** A state at rest: published as the Secret wants it, shown for an hour, unless the case says otherwise. */
function state(authorities: Partial<Authorities>, changes: Partial<RotationState> = {}): RotationState {
  const all = { ...empty, ...authorities }
  const entry = { text: bundleOf(trusted(all)), certificates: trusted(all) }
  return {
    authorities: all,
    published: [entry, entry],
    shownForMs: new Map(trusted(all).map(({ fingerprint }) => [fingerprint, 3_600_000])),
    leaf: all.signing && leafOf(all.signing.fingerprint),
    ...changes,
  }
}

const publicOf = ({ pem, fingerprint, notBeforeMs, notAfterMs }: Authority) => ({
  pem,
  fingerprint,
  notBeforeMs,
  notAfterMs,
})
const bare = { text: '', certificates: [] }

t.test('an empty Secret gets its first authority and nothing else happens yet', t => {
  t.strictSame(plan(state({}, { published: [bare] }), nowMs, config), [
    { do: 'store', why: 'first', content: { signing: 'new', next: undefined, retired: [], retiredAtMs: undefined } },
  ])
  t.end()
})

t.test('a fresh authority is published to every webhook and signs the first leaf', t => {
  const a = authority('a')
  t.strictSame(
    plan(state({ signing: a }, { published: [bare, bare], leaf: undefined, shownForMs: new Map() }), nowMs, config),
    [
      { do: 'publish', bundle: 'a\n' },
      { do: 'issue', why: 'first', issuer: a },
    ],
  )
  t.end()
})

t.test('at rest nothing is done', t => {
  t.strictSame(plan(state({ signing: authority('a') }), nowMs, config), [])
  t.end()
})

t.test('a bundle that one webhook of two lacks is published again', t => {
  const a = authority('a')
  const good = { text: 'a\n', certificates: [a] }
  t.match(plan(state({ signing: a }, { published: [good, bare] }), nowMs, config), [{ do: 'publish', bundle: 'a\n' }])
  t.end()
})

t.test('at two thirds of its life an authority gets a successor, which does not sign yet', t => {
  const old = authority('old', 244)
  t.strictSame(plan(state({ signing: authority('old', 243) }), nowMs, config), [])
  t.match(plan(state({ signing: old }), nowMs, config), [
    { do: 'store', why: 'due', content: { signing: old, next: 'new', retired: [] } },
  ])
  t.end()
})

t.test('a successor is published beside the old one and signs only when shown for the time of settling', t => {
  const [old, next] = [authority('old', 244), authority('next')]
  const at = (shownMs: number) =>
    plan(
      state(
        { signing: old, next },
        {
          shownForMs: new Map([
            ['old', DAY_MS],
            ['next', shownMs],
          ]),
        },
      ),
      nowMs,
      config,
    )
  t.strictSame(plan(state({ signing: old, next }, { published: [bare], shownForMs: new Map() }), nowMs, config), [
    { do: 'publish', bundle: 'old\nnext\n' },
  ])
  t.strictSame(at(299_999), [])
  t.strictSame(at(300_000), [
    {
      do: 'store',
      why: 'promote',
      content: { signing: next, next: undefined, retired: [publicOf(old)], retiredAtMs: nowMs },
    },
  ])
  t.end()
})

t.test('a replica leaves its old leaf when the new authority has been shown for the time of settling', t => {
  const [old, now] = [authority('old', 244), authority('now')]
  const at = (shownMs: number, leaf: Leaf | undefined) =>
    plan(
      state({ signing: now, retired: [old], retiredAtMs: nowMs }, { leaf, shownForMs: new Map([['now', shownMs]]) }),
      nowMs,
      config,
    )
  t.strictSame(at(299_999, leafOf('old')), [])
  t.strictSame(at(300_000, leafOf('old')), [{ do: 'issue', why: 'rotation', issuer: now }])
  t.match(at(0, undefined), [{ do: 'issue', why: 'first', issuer: now }])
  t.match(at(0, leafOf('old', 8)), [{ do: 'issue', why: 'renewal', issuer: now }], 'an expired leaf serves nobody')
  t.end()
})

t.test('a retired authority is dropped when the last leaf that it can have signed has expired', t => {
  const [old, now] = [authority('old', 250), authority('now')]
  const at = (retiredAtMs: number) => plan(state({ signing: now, retired: [old], retiredAtMs }), nowMs, config)
  t.strictSame(at(nowMs - 7 * DAY_MS - 299_999), [])
  t.match(at(nowMs - 7 * DAY_MS - 300_000), [
    { do: 'store', why: 'prune', content: { retired: [], retiredAtMs: undefined } },
  ])
  t.match(plan(state({ signing: now, retired: [old] }), nowMs, config), [
    { do: 'store', why: 'repair', content: { retiredAtMs: nowMs } },
  ])
  t.end()
})

t.test('a leaf is renewed when due, and at once when the clock jumped out of its life', t => {
  const a = authority('a', 30)
  const at = (leaf: Leaf) => plan(state({ signing: a }, { leaf }), nowMs, config)
  t.strictSame(at(leafOf('a', 4)), [])
  t.match(at(leafOf('a', 5)), [{ do: 'issue', why: 'renewal' }])
  t.match(at(leafOf('a', -1)), [{ do: 'issue', why: 'renewal' }])
  t.end()
})

t.test('a lost or expired authority is replaced, and what was trusted until now stays trusted for a leaf’s life', t => {
  const [lost, expired, next] = [authority('lost', 3), authority('expired', 400), authority('next')]
  const shown = { text: 'lost\n', certificates: [publicOf(lost)] }
  const kept = { next: undefined, retired: [publicOf(lost)], retiredAtMs: nowMs }
  t.strictSame(plan(state({}, { published: [shown, shown] }), nowMs, config), [
    { do: 'store', why: 'unusable', content: { signing: 'new', ...kept } },
  ])
  t.strictSame(plan(state({ next }, { published: [shown] }), nowMs, config), [
    { do: 'store', why: 'unusable', content: { signing: next, ...kept } },
  ])
  t.match(plan(state({ signing: expired }), nowMs, config), [
    { do: 'store', why: 'unusable', content: { signing: 'new', retired: [{ fingerprint: 'expired' }] } },
  ])
  t.end()
})

t.test('a successor that expired before it signed is replaced by another when one is due, else dropped', t => {
  const stale = authority('stale', 400)
  t.match(plan(state({ signing: authority('a', 244), next: stale }), nowMs, config), [{ do: 'store', why: 'due' }])
  t.match(plan(state({ signing: authority('a'), next: stale }), nowMs, config), [
    { do: 'store', why: 'repair', content: { next: undefined } },
  ])
  t.end()
})

t.test('an authority from the future is neither replaced nor used', t => {
  t.strictSame(plan(state({ signing: authority('future', -2) }, { leaf: undefined }), nowMs, config), [])
  t.end()
})
