import t from 'tap'
import { quiet } from './scenario.ts'

const refusals = ({ decider }: ReturnType<typeof quiet>) =>
  decider.plan.alerts.flatMap(alert => (alert.kind === 'pin_refused' ? [`${alert.to}: ${alert.why}`] : []))

t.test('a pin that can be obeyed raises nothing, on either side', t => {
  for (const self of ['a', 'b']) {
    const scene = quiet(self, 'b')
    scene.world.pin('a')
    scene.world.step(10)
    t.same(refusals(scene), [])
  }
  t.end()
})

t.test('a pin to a cluster without an available runner is refused with the reason, whatever the force', t => {
  for (const force of [false, true]) {
    const target = quiet('a', 'b')
    target.own.pods = 0
    target.world.pin('a', { force })
    target.world.step(10)
    t.same(refusals(target), ['a: it has no available runner'])
    t.match(target.decider.plan.explain, /refused/)
    const holder = quiet('b', 'b')
    holder.peer.says({ available: 0, lastKnown: 0 })
    holder.world.pin('a', { force })
    holder.world.step(10)
    t.same(refusals(holder), ['a: it has no available runner'])
  }
  t.end()
})

t.test('a pin to a dead cluster, to one that never spoke, and to none at all is refused', t => {
  const dead = quiet('b', 'b')
  dead.peer.speaks = false
  dead.world.pin('a')
  dead.world.run(300)
  t.match(refusals(dead), [/^a: it is dead/])
  const silent = quiet('b', 'b')
  silent.world.pin('z')
  silent.world.step(10)
  t.same(refusals(silent), ['z: this pool has no cluster z'])
  silent.world.wish({})
  silent.world.step(10)
  t.same(refusals(silent), [], 'over with the pin')
  t.end()
})

t.test('while the wishes cannot be read, those before count and people are told', t => {
  const scene = quiet('b', 'b')
  scene.world.pin('z')
  scene.world.step(10)
  scene.world.control = { kind: 'unreadable', why: 'not JSON' }
  scene.world.step(10)
  t.match(scene.decider.alerts, ['unreadable_control', 'pin_refused'])
  t.end()
})
