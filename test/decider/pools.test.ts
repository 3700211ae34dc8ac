import t from 'tap'
import type { HttpTransport } from '../../lib/http/transport.ts'
import { type Replica, createReplicas, stateOf } from './replicas.ts'

/** Whatever names the pool or one of its runners is never answered. */
function hanging(pool: string, ids: readonly number[], isOn: () => boolean) {
  return (base: HttpTransport): HttpTransport =>
    request => {
      const hit = (request.body ?? '').includes(`"${pool}"`) || ids.some(id => request.url.includes(`/runners/${id}`))
      if (!isOn() || !hit) return base(request)
      return new Promise((_resolve, reject) => {
        request.signal.addEventListener('abort', () => reject(request.signal.reason as Error), { once: true })
      })
    }
}

t.test('a pool that GitLab never answers for holds up the other one by no second', async t => {
  const times: number[] = []
  for (const hang of [false, true]) {
    const world = createReplicas({ pools: ['rnd', 'qa'], runners: 30 })
    const stuck = Object.values(world.ids).flatMap(of => of['qa'] ?? [])
    const a = world.start('a', { lease: false })
    await world.until('a serves', () => stateOf(a, 0) === 'ACTIVE' && stateOf(a, 1) === 'ACTIVE', 60_000)
    const b = world.start('b', { lease: false, wrap: hanging('qa', stuck, () => hang && on) })
    let on = false
    const state = (replica: Replica) => [stateOf(replica, 0), stateOf(replica, 1)].join()
    await world.until('all run', () => state(a) === 'ACTIVE,ACTIVE' && state(b) === 'STANDBY,STANDBY', 60_000)
    on = true
    a.crash()
    times.push(await world.until('rnd is on b whole', () => world.holding('b', 'rnd') === 30, 200_000))
    if (hang) t.equal(world.holding('b', 'qa'), 0, 'it does hang')
  }
  const [alone = 0, beside = 0] = times
  // Both pools' 60 runners share the pace where neither hangs, so that this one may only be quicker.
  t.ok(beside <= alone + 1000, `${alone} ms without, ${beside} ms beside a pool that hangs`)
})

t.test('two hundred runners of each cluster change hands within 40 s, the first one within a second', async t => {
  const world = createReplicas({ runners: 200 })
  const a = world.start('a', { lease: false })
  await world.until('a serves', () => stateOf(a) === 'ACTIVE', 60_000)
  const b = world.start('b', { lease: false })
  await world.until('both run', () => stateOf(a) === 'ACTIVE' && stateOf(b) === 'STANDBY', 60_000)
  // A decider that has just started removes nothing for a while, not even for a pin.
  await world.clock.advance(60_000)
  const until = new Date(world.clock.wallMs() + 3_600_000).toISOString()
  await world.wish({ rnd: { pin: { to: 'b', until, by: 'kim', why: 'test' } } })
  await world.until('b takes over', () => stateOf(b) === 'PROMOTING' || world.holding('b') > 0, 30_000)
  const started = world.clock.monotonicMs()
  await world.until('the first', () => world.holding('b') > 0, 1000)
  await world.until('all', () => world.holding('b') === 200 && world.holding('a') === 0, 40_000)
  t.comment(`${world.clock.monotonicMs() - started} ms`)
  t.equal(world.longestGapMs(), 0)
})
