import t from 'tap'
import { quiet } from './scenario.ts'

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

  t.test('do not fence, not even one that need not be asked', t => {
    for (const paused of [false, true]) {
      const { world, decider } = quiet('a', 'a', ['a', 'b', 'c'])
      const dead = world.cluster('b')
      dead.tag()
      for (const runner of dead.runners) runner.paused = paused
      dead.dies()
      world.cluster('c').says({ digest: 'another' })
      world.run(600)
      t.strictSame(decider.steps(), [])
    }
    t.end()
  })

  t.test('do not yield, though a third one serves with a higher claim', t => {
    const { world, decider } = quiet('a', 'a', ['a', 'b', 'c'])
    world.cluster('b').says({ digest: 'another' })
    world.cluster('c').tag()
    world.cluster('c').says({ active: true, epoch: 4 })
    world.run(100)
    t.strictSame(decider.steps(), [])
    t.end()
  })

  t.test('count up to a silence of exactly T_dead', t => {
    const { world, decider, peer } = quiet('a', 'a')
    peer.says({ digest: 'another' })
    world.step(10)
    peer.speaks = false
    for (const gap of [20, 20, 15]) world.step(gap)
    t.equal(decider.plan.state, 'CONFIG_MISMATCH')
    world.step(0.001)
    t.not(decider.plan.state, 'CONFIG_MISMATCH')
    t.end()
  })
  t.end()
})
