import t from 'tap'
import { decide } from '../../decider/decide.ts'
import type { Decision } from '../../decider/loop.ts'
import { createReplicas, stateOf } from './replicas.ts'

t.test('every decision of a fail-over that is kept gives the same plan again, from its JSON alone', async t => {
  const world = createReplicas({ runners: 3 })
  const a = world.start('a', { lease: false })
  await world.until('a serves', () => stateOf(a) === 'ACTIVE', 60_000)
  const b = world.start('b', { lease: false })
  await world.until('both run', () => stateOf(a) === 'ACTIVE' && stateOf(b) === 'STANDBY', 60_000)
  a.crash()
  await world.until('b has fenced a', () => world.holders().join() === 'b', 200_000)
  await world.clock.advance(20_000)
  const { rnd: records } = b.decider.records()
  const kept = records?.list() ?? []
  const steps = kept.map(({ step }) => step)
  t.ok(steps.includes('promote') && steps.includes('tend'), steps.join())
  t.same(
    kept.map(({ id }) => id),
    kept.map((_, index) => index + 1),
  )
  for (const { id, explain } of kept) {
    const record = JSON.parse(records?.whole(id) ?? '') as Decision
    t.strictSame(JSON.parse(JSON.stringify(decide(record.seen, record.previous, record.config))), record.plan, explain)
  }
  const written = kept.flatMap(({ deeds }) => deeds).filter(({ operation }) => operation === 'fence')
  t.equal(written.length, 3, 'with every write')
  const newest = JSON.parse(records?.whole() ?? '') as Decision
  t.equal(newest.plan.state, 'ACTIVE')
  t.ok(newest.atMs > Date.parse(kept.at(-1)?.at ?? ''))
  t.equal(records?.whole(999), undefined)
})
