import t from 'tap'
import { quiet } from './scenario.ts'

t.test('a pin', t => {
  t.test('moves the tag to a weaker cluster at once, without margin or minimum hold', t => {
    const { world, decider, own, peer } = quiet('a', 'b')
    own.pods = 1
    peer.says({ epoch: 4 })
    world.pin('a')
    world.step(10)
    t.equal(decider.promotes, 'pin')
    t.match(decider.step, { status: { epoch: 5 } })
    t.end()
  })

  t.test('does nothing to the cluster that serves already', t => {
    const { world, decider } = quiet('a', 'a')
    world.pin('a', { force: true })
    world.run(600)
    t.strictSame(decider.steps(), [])
    t.end()
  })

  t.test('waits while the own number is unknown; a forced one does not', t => {
    const { world, decider, own } = quiet('a', 'b')
    own.pods = null
    world.pin('a')
    world.run(100)
    t.equal(decider.plan.state, 'WAITING')
    t.strictSame(decider.steps(), [])
    world.pin('a', { force: true })
    world.step(10)
    t.equal(decider.promotes, 'pin')
    t.end()
  })

  t.test('is refused, forced or not, by a cluster known to have nothing', t => {
    for (const force of [false, true]) {
      const { world, decider, own } = quiet('a', 'b')
      own.pods = 0
      world.pin('a', { force })
      world.run(600)
      t.strictSame(decider.steps(), [])
    }
    t.end()
  })

  t.test('holds while part of the pods is unknown and none is proven, unless it is forced', t => {
    const { world, decider, own } = quiet('a', 'b')
    own.capacity = { known: true, available: 0, unknownPods: 2, total: 2, desired: null, servingIds: [] }
    world.pin('a')
    world.run(60)
    t.strictSame(decider.steps(), [])
    world.pin('a', { force: true })
    world.step(10)
    t.equal(decider.promotes, 'pin')
    t.end()
  })

  t.test('stops when the claim cannot be published', t => {
    const { world, decider, own } = quiet('a', 'b')
    world.pin('a')
    decider.publishing = 'fails'
    world.step(10)
    t.equal(decider.promotes, 'pin')
    t.strictSame(own.taggedIds, [])
    t.end()
  })

  t.test('counts until its end by GitLab’s clock, whatever the local clock says', t => {
    for (const skewMs of [-365 * 86_400_000, 365 * 86_400_000]) {
      const { world, decider, own } = quiet('a', 'b')
      decider.wallSkewMs = skewMs
      own.pods = null
      world.run(60)
      world.pin('a', { forSeconds: 60 })
      world.run(50)
      t.equal(decider.plan.state, 'WAITING', 'valid')
      world.step(10)
      t.equal(decider.plan.state, 'STANDBY', 'over')
      own.pods = 4
      world.run(60)
      t.strictSame(decider.steps(), [])
    }
    t.end()
  })

  t.test('makes its cluster take over at once when nobody serves, whatever its rank', t => {
    const { world, decider } = quiet('b', 'c', ['a', 'b', 'c'])
    world.pin('b')
    world.cluster('c').says({ active: false })
    world.step(10)
    t.ok(decider.promotes)
    t.end()
  })

  t.test('that is forced does not wait for the last resort', t => {
    const { world, decider, own, peer } = quiet('a', 'b')
    own.pods = null
    peer.reports(0)
    world.pin('a', { force: true })
    world.step(10)
    t.equal(decider.promotes, 'pin')
    t.end()
  })

  t.test('to another stops a preference move, and the 300 s count from its end', t => {
    const { world, decider, own } = quiet('a', 'b')
    own.pods = 9
    world.pin('b', { forSeconds: 3600 })
    world.run(3590)
    t.strictSame(decider.steps(), [])
    world.run(300)
    t.strictSame(decider.steps(), [])
    world.step(10)
    t.equal(decider.promotes, 'prefer')
    t.end()
  })

  t.test('and preference at odds: the pin wins, and nobody moves back while it lasts', t => {
    const { world, decider, own, peer } = quiet('a', 'a')
    const other = world.decider('b')
    own.pods = 9
    peer.pods = 1
    world.pin('b', { forSeconds: 7200 })
    world.run(100)
    t.strictSame(world.holders, ['b'])
    t.strictSame([other.steps(), decider.steps()], [['promote'], ['demote']])
    world.run(7000)
    t.strictSame(world.holders, ['b'])
    world.run(700)
    t.strictSame(world.holders, ['a'], 'the pin is over and the stronger one takes the tag again')
    t.end()
  })

  t.test('to another stops an emergency while that cluster lives and scores', t => {
    const { world, decider, peer } = quiet('a', 'b')
    world.pin('b')
    peer.untag()
    peer.says({ active: false })
    world.run(600)
    t.strictSame(decider.steps(), [])
    t.equal(decider.plan.state, 'WAITING')
    t.end()
  })

  t.test('to a cluster that scores 0 stops an emergency for failFor only', t => {
    const { world, decider, peer } = quiet('a', 'b')
    world.pin('b')
    peer.untag()
    peer.reports(0)
    peer.says({ active: false })
    world.step(10)
    world.step(19.999)
    t.strictSame(decider.steps(), [])
    world.step(0.001)
    t.equal(decider.promotes, 'emergency')
    t.end()
  })

  t.test('to a dead cluster stops nothing', t => {
    const { world, decider, peer } = quiet('a', 'b')
    world.pin('b', { force: true })
    peer.dies()
    t.equal(
      world.secondsUntil(() => decider.promotes === 'emergency', 200),
      100,
      'as fast as without the pin',
    )
    t.end()
  })

  t.test('to a cluster that nobody configured stops no emergency', t => {
    const { world, decider, peer } = quiet('a', 'b')
    world.pin('zebra')
    peer.says({ active: false })
    world.step(10)
    t.equal(decider.promotes, 'emergency')
    t.end()
  })
  t.end()
})
