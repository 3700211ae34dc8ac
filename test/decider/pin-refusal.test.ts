import t from 'tap'
import { World, quiet } from './scenario.ts'

const refusals = ({ decider }: Pick<ReturnType<typeof quiet>, 'decider'>) =>
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
  t.same(refusals(dead), ['a: it is dead: neither its decider nor its runners answer'])
  const silent = quiet('b', 'b')
  silent.world.pin('z')
  silent.world.step(10)
  t.same(refusals(silent), ['z: this pool has no cluster z'])
  silent.world.wish({})
  silent.world.step(10)
  t.same(refusals(silent), [], 'over with the pin')
  t.end()
})

t.test('a pin to a cluster of which nobody knows enough is refused, unless people force what may be possible', t => {
  const unread = 'it has no status that can be understood: no decider of this pool speaks for it'
  const unknown = 'nobody knows whether it can serve'
  for (const [name, file, refused, forced] of [
    ['its number is unknown and was 0', { available: null, lastKnown: 0 }, unknown, undefined],
    ['its number is unknown and was not 0', { available: null, lastKnown: 4 }, undefined, undefined],
    ['its number is known, and was 0', { available: 1, lastKnown: 0 }, undefined, undefined],
    ['its file cannot be understood', undefined, unread, unread],
  ] as const) {
    for (const [force, why] of [
      [false, refused],
      [true, forced],
    ] as const) {
      const scene = quiet('b', 'b')
      scene.world.pin('a', { force })
      if (file) scene.peer.says(file)
      else scene.peer.file = { kind: 'unreadable', why: 'schema 2' }
      scene.peer.speaks = false
      scene.world.step(10)
      t.same(refusals(scene), why === undefined ? [] : [`a: ${why}`], `${name}, force ${force}`)
    }
  }
  t.end()
})

t.test('a cluster is refused by its own decider only while it is proven, or may be taken, not to serve', t => {
  const some = { known: true, total: 4, desired: null, servingIds: [] } as const
  for (const [name, capacity, refused, forced] of [
    ['known to be 0', { ...some, available: 0, unknownPods: 0 }, 'it has no available runner', true],
    ['partly unknown', { ...some, available: 0, unknownPods: 4 }, 'nobody knows whether it can serve', false],
    ['unknown', { known: false, why: 'no answer' }, 'nobody knows whether it can serve', false],
    ['known to be 1', { ...some, available: 1, unknownPods: 0, servingIds: [10] }, undefined, false],
  ] as const) {
    for (const force of [false, true]) {
      const world = new World()
      world.cluster('a').says({ lastKnown: 0, available: 0 })
      world.cluster('a').capacity = capacity
      world.cluster('b').says({ active: true, epoch: 3 })
      world.cluster('b').tag()
      const decider = world.decider('a')
      world.pin('a', { force })
      world.step(10)
      const told = refused !== undefined && (!force || forced) ? [`a: ${refused}`] : []
      t.same(refusals({ decider }), told, `${name}, force ${force}`)
    }
  }
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
