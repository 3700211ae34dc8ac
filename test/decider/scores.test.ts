import t from 'tap'
import { strength } from '../../decider/views.ts'
import { World, poolOf, quiet } from './scenario.ts'

t.test('scores', t => {
  const scoresOf = ({ decider }: ReturnType<typeof quiet>) => decider.plan.next.scores

  t.test('a known number is weighed; a dead cluster scores 0', t => {
    const scene = quiet('a', 'b')
    scene.world.step(10)
    t.strictSame(scoresOf(scene), { a: 4, b: 4 })
    scene.peer.dies()
    scene.world.run(110)
    t.equal(scoresOf(scene)['b'], 0)
    t.end()
  })

  t.test('an unknown number of a peer counts as the last known one up to T_unknown, then as 0', t => {
    for (const [unknownForSeconds, score] of [
      [0, 4],
      [599, 4],
      [601, 0],
    ] as const) {
      const scene = quiet('a', 'b')
      scene.peer.says({ available: null, unknownForSeconds })
      scene.world.step(10)
      t.equal(scoresOf(scene)['b'], score, `${unknownForSeconds} s`)
    }
    t.end()
  })

  t.test('an unknown own number counts as the last known one up to T_unknown, then as 0', t => {
    const scene = quiet('a', 'a')
    scene.own.pods = null
    scene.world.run(590)
    t.equal(scoresOf(scene)['a'], 4)
    t.equal(scene.own.status?.available, null)
    t.equal(scene.own.status?.lastKnown, 4)
    scene.world.run(20)
    t.equal(scoresOf(scene)['a'], 0)
    t.end()
  })

  t.test('a silent cluster whose runners answer scores its last known number, and at least 1', t => {
    for (const [lastKnown, score] of [
      [7, 7],
      [0, 1],
    ] as const) {
      const scene = quiet('a', 'b')
      scene.peer.says({ available: null, lastKnown })
      scene.peer.speaks = false
      scene.world.run(80)
      t.equal(scene.decider.plan.state, 'PEER_DECIDER_DOWN')
      t.equal(scoresOf(scene)['b'], score)
    }
    t.end()
  })

  t.test('part of the pods unknown: the number stays between what is proven and what is possible', t => {
    const scene = quiet('a', 'a')
    const some = { known: true, total: 4, desired: null, servingIds: [10] } as const
    scene.own.capacity = { ...some, available: 1, unknownPods: 3 }
    scene.world.step(10)
    t.equal(scene.own.status?.available, 4, 'the last known one is possible')
    scene.own.capacity = { ...some, available: 1, unknownPods: 1 }
    scene.world.step(10)
    t.equal(scene.own.status?.available, 2)
    scene.own.capacity = { ...some, available: 3, unknownPods: 1 }
    scene.world.step(10)
    t.equal(scene.own.status?.available, 3)
    scene.own.capacity = { ...some, available: 0, unknownPods: 4 }
    scene.world.step(10)
    t.equal(scene.own.status?.available, null, 'nothing proven: unknown')
    t.equal(scene.own.status?.lastKnown, 3)
    t.end()
  })

  t.test('what is unknown in the first cycle is not published as known', t => {
    const world = new World()
    const own = world.cluster('a')
    own.says({ active: true, epoch: 1, lastKnown: 4 })
    own.tag()
    own.capacity = { known: true, available: 0, unknownPods: 4, total: 4, desired: null, servingIds: [] }
    world.decider('a')
    world.step(10)
    t.equal(own.status?.available, null)
    t.equal(own.status?.lastKnown, 4)
    t.end()
  })

  t.test('strength is weight × pods, or weight × percent of the wanted pods', t => {
    const count = poolOf('a')
    const health = poolOf('a', ['a', 'b'], { strength: 'health' })
    const heavy = { name: 'a', tag: 'runner-a', priority: 0, weight: 3 }
    t.equal(strength(heavy, 5, 10, count), 15)
    t.equal(strength(heavy, 5, 10, health), 150)
    t.equal(strength(heavy, 20, 10, health), 300, 'more than wanted is not more healthy')
    t.equal(strength(heavy, 1, 3, health), 99, 'rounded down')
    t.equal(strength(heavy, 2, null, health), 300)
    t.equal(strength(heavy, 0, null, health), 0)
    t.equal(strength(heavy, 0, 0, health), 0)
    t.end()
  })
  t.end()
})
