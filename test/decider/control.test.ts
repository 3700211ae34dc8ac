import t from 'tap'
import { changeControl, type ClusterWord, type ControlRequest, type ControlSituation } from '../../decider/control.ts'
import type { PoolStatus } from '../../decider/model.ts'

const NOW = Date.UTC(2026, 0, 1)
const HOUR = 3_600_000
const iso = (ms: number) => new Date(ms).toISOString()

const status = (changes: Partial<PoolStatus> = {}): PoolStatus => ({
  digest: 'd',
  epoch: 1,
  active: false,
  available: 2,
  total: 2,
  desired: null,
  lastKnown: 2,
  unknownForSeconds: 0,
  servingIds: [],
  reason: 'STANDBY',
  ...changes,
})
const word = (cluster: string, changes: Partial<PoolStatus> = {}, ageMs = 5000): ClusterWord => ({
  cluster,
  status: status(changes),
  ageMs,
})
const situation = (words: readonly ClusterWord[] = [word('a', { active: true }), word('b')]): ControlSituation => ({
  words,
  pools: ['p', 'q'],
  nowMs: NOW,
  silentAfterMs: 100_000,
})
const pin = (changes: Partial<Extract<ControlRequest, { kind: 'pin' }>> = {}): ControlRequest => ({
  kind: 'pin',
  pool: 'p',
  to: 'b',
  untilMs: NOW + HOUR,
  by: 'ann',
  why: 'because',
  force: false,
  ...changes,
})
const pause: ControlRequest = { kind: 'pause', pool: 'p', untilMs: NOW + HOUR, by: 'ann', why: '' }

function pools(answer: ReturnType<typeof changeControl>): unknown {
  if (answer.kind !== 'changed') throw new Error(JSON.stringify(answer))
  return (JSON.parse(answer.content) as { pools: unknown }).pools
}

t.test('a wish is written with who, why and until, beside what others wish', t => {
  const other = { pause: { until: iso(NOW + HOUR), by: 'bob', why: 'x' } }
  const current = JSON.stringify({ schema: 1, pools: { q: other } })
  t.same(pools(changeControl(current, pin(), situation())), {
    p: { pin: { to: 'b', until: iso(NOW + HOUR), by: 'ann', why: 'because' } },
    q: other,
  })
  t.same(pools(changeControl(null, pause, situation())), {
    p: { pause: { until: iso(NOW + HOUR), by: 'ann', why: '' } },
  })
  t.end()
})

t.test('what is over goes, what cannot be understood stays, except in the pool itself', t => {
  const current = JSON.stringify({
    schema: 1,
    pools: {
      p: { pause: 'broken' },
      q: { pin: { to: 'a', until: iso(NOW), by: 'bob', why: '' }, pause: { until: iso(NOW + 1), by: 'bob', why: '' } },
      r: { pause: { until: 'soon', by: 'bob', why: '' } },
      s: 'text',
    },
  })
  const answer = changeControl(current, pin(), situation())
  t.match(answer, { pruned: ['pin of q'] })
  t.match(pools(answer), {
    p: { pin: { to: 'b' } },
    q: { pause: { by: 'bob' } },
    r: { pause: { until: 'soon' } },
    s: 'text',
  })
  t.notOk((pools(answer) as { p: { pause?: unknown } }).p.pause)
  t.end()
})

t.test('resume takes pause and pin of its pool away, and says when there is nothing to take', t => {
  const wish = { until: iso(NOW + HOUR), by: 'bob', why: '' }
  const current = JSON.stringify({
    schema: 1,
    pools: { p: { pause: wish, pin: { ...wish, to: 'a' } }, q: { pause: wish } },
  })
  t.same(pools(changeControl(current, { kind: 'resume', pool: 'p' }, situation())), { q: { pause: wish } })
  t.match(changeControl(null, { kind: 'resume', pool: 'p' }, situation()), { kind: 'unchanged' })
  t.end()
})

t.test('a pin that the deciders would not follow is refused, and force skips what it may', t => {
  const refusals: readonly [string, ControlRequest, ControlSituation, RegExp, boolean][] = [
    ['an unknown pool', pin({ pool: 'x' }), situation(), /no pool x/, false],
    ['an unknown cluster', pin({ to: 'c' }), situation(), /no cluster c/, false],
    ['no available runner', pin(), situation([word('a'), word('b', { available: 0 })]), /nobody would serve/, false],
    [
      'other configurations',
      pin(),
      situation([word('a', { digest: 'e' }), word('b')]),
      /different configurations/,
      false,
    ],
    ['a silent decider', pin(), situation([word('a'), word('b', {}, 200_000)]), /silent for 200 s/, true],
    ['an unknown strength', pin(), situation([word('a'), word('b', { available: null })]), /not known how many/, true],
    ['an unreadable file', pin(), situation([{ cluster: 'b', status: undefined, ageMs: 0 }]), /cannot be read/, false],
    ['a time that is over', pin({ untilMs: NOW }), situation(), /between now and 30 days/, false],
  ]
  for (const [name, request, where, why, forceHelps] of refusals) {
    t.match(changeControl(null, request, where), { kind: 'refused', why, forceHelps }, name)
    const forced = changeControl(null, { ...request, ...(request.kind === 'pin' && { force: true }) }, where)
    t.equal(forced.kind, forceHelps ? 'changed' : 'refused', `${name}, forced`)
  }
  const paused = JSON.stringify({ schema: 1, pools: { p: { pause: { until: iso(NOW + HOUR), by: 'b', why: '' } } } })
  t.match(changeControl(paused, pin({ force: true }), situation()), { kind: 'refused', mend: /hadr resume --pool p/ })
  t.end()
})

t.test('a document that cannot be understood as a whole is never overwritten', t => {
  for (const content of ['{', '[]', JSON.stringify({ schema: 2, pools: {} })]) {
    t.match(changeControl(content, pin(), situation()), { kind: 'refused', why: /cannot be understood/ })
  }
  t.end()
})
