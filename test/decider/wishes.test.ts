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

t.test('a pause', t => {
  t.test('lets heartbeats go on and stops everything else', t => {
    for (const holder of ['a', 'b'] as const) {
      const { world, decider, own, peer } = quiet('a', holder, ['a', 'b'], 2)
      world.pause()
      if (holder === 'a') own.untag()
      if (holder === 'b') peer.reports(0)
      const seq = own.seq
      world.run(600)
      t.strictSame(decider.steps(), [])
      t.ok(own.seq >= seq + 30, 'publishes')
      t.equal(decider.plan.state, 'PAUSED')
      t.match(decider.plan.explain, 'Paused by kim')
    }
    t.end()
  })

  t.test('stops yielding and fencing, too', t => {
    const { world, decider, peer } = quiet('a', 'a')
    peer.says({ active: true, epoch: 4 })
    peer.tag()
    world.pause()
    world.run(60)
    peer.dies()
    world.run(600)
    t.strictSame(decider.steps(), [])
    t.end()
  })

  t.test('ends by GitLab’s clock, on a local clock set back or forward', t => {
    for (const skewMs of [-86_400_000, 0, 86_400_000]) {
      const { world, decider, peer } = quiet('a', 'b')
      peer.says({ active: false })
      decider.wallSkewMs = skewMs
      world.pause(60)
      world.step(59.999)
      t.equal(decider.plan.state, 'PAUSED')
      world.step(0.001)
      t.equal(decider.promotes, 'emergency')
    }
    t.end()
  })

  t.test('holds against a pin, even a forced one', t => {
    const { world, decider } = quiet('a', 'b')
    const untilMs = world.serverMs + 600_000
    const wish = { untilMs, by: 'kim', why: 'test' }
    world.wish({ pause: wish, pin: { ...wish, to: 'a', force: true } })
    world.run(590)
    t.strictSame(decider.steps(), [])
    t.end()
  })

  t.test('stays in force when the wishes cannot be read any more', t => {
    const { world, decider, peer } = quiet('a', 'b')
    world.pause(600)
    world.step(10)
    world.control = { kind: 'unreadable', why: 'not JSON' }
    peer.says({ active: false })
    world.run(580)
    t.strictSame(decider.steps(), [])
    t.ok(decider.alerts.includes('unreadable_control'))
    world.run(20)
    t.ok(decider.steps().includes('promote'), 'and ends at its time all the same')
    t.end()
  })

  t.test('an emergency is met though the wishes could never be read', t => {
    const { world, decider, peer } = quiet('a', 'b')
    decider.restarts()
    world.control = { kind: 'unreadable', why: 'not JSON' }
    peer.says({ active: false })
    world.run(70)
    t.ok(decider.steps().includes('promote'))
    t.end()
  })

  t.test('stops repairs even when the configurations differ', t => {
    const { world, decider, own, peer } = quiet('a', 'a')
    world.pause()
    peer.says({ digest: 'another' })
    own.untag()
    world.run(100)
    t.strictSame(decider.steps(), [])
    t.ok(decider.alerts.includes('config_mismatch'))
    t.end()
  })
  t.end()
})

t.test('differing configurations', t => {
  t.test('stop everything but heartbeats and repairs of own tags, and are reported', t => {
    const { world, decider, own, peer } = quiet('a', 'a', ['a', 'b'], 2)
    own.untag()
    own.tag(10)
    peer.says({ digest: 'another', active: true, epoch: 9, available: 0 })
    world.step(10)
    t.equal(decider.plan.state, 'CONFIG_MISMATCH')
    t.strictSame(decider.adds, [11])
    t.match(decider.plan.alerts, [{ kind: 'config_mismatch', clusters: ['b'] }])
    peer.tag()
    peer.says({ available: 4 })
    const seq = own.seq
    world.run(600)
    t.strictSame(decider.steps(), ['tend'])
    t.ok(own.seq >= seq + 30)
    t.end()
  })

  t.test('stop promotions of any kind', t => {
    const { world, decider, peer } = quiet('a', 'b')
    peer.untag()
    peer.says({ digest: 'another', active: false })
    world.pin('a', { force: true })
    world.run(600)
    t.strictSame(decider.steps(), [])
    t.end()
  })

  t.test('of a peer that fell silent stop nothing any more', t => {
    const { world, decider, peer } = quiet('a', 'b')
    peer.says({ digest: 'another' })
    peer.dies()
    t.ok(world.secondsUntil(() => decider.promotes === 'emergency', 200))
    t.end()
  })

  t.test('of one of three stop all', t => {
    const { world, decider } = quiet('a', 'c', ['a', 'b', 'c'])
    world.cluster('b').says({ digest: 'another' })
    world.cluster('c').says({ active: false })
    world.run(600)
    t.strictSame(decider.steps(), [])
    t.end()
  })

  t.test('do not fence', t => {
    const { world, decider } = quiet('a', 'a', ['a', 'b', 'c'])
    world.cluster('b').tag()
    world.cluster('b').dies()
    world.cluster('c').says({ digest: 'another' })
    world.run(600)
    t.strictSame(decider.steps(), [])
    t.end()
  })
  t.end()
})
