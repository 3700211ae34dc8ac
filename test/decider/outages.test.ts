import t from 'tap'
import { World, poolOf, quiet } from './scenario.ts'

t.test('a cluster that comes back', t => {
  t.test('with an active file and its tags: it yields once the other is proven', t => {
    const { world, decider, own, peer } = quiet('a', 'a')
    decider.running = false
    world.run(60)
    peer.says({ active: true, epoch: 4 })
    peer.tag()
    decider.restarts()
    decider.running = true
    world.run(100)
    t.strictSame(decider.steps(), ['demote'])
    t.strictSame(own.taggedIds, [])
    t.strictSame(world.holders, ['b'])
    t.end()
  })

  t.test('after it died during an outage of GitLab of one hour: the other takes over T_dead and a probe later', t => {
    const { world, decider, peer } = quiet('a', 'b')
    world.gitlabDown = true
    world.run(1800)
    peer.dies()
    world.run(1800)
    t.strictSame(decider.steps(), [])
    world.gitlabDown = false
    const seconds = world.secondsUntil(() => decider.promotes === 'emergency', 400)
    t.ok(seconds !== undefined && seconds >= 80 && seconds <= 160, `${seconds} s`)
    t.end()
  })

  t.test('resumed after a suspension of its process: it neither repairs nor removes on what it knew', t => {
    const { world, decider, own, peer } = quiet('a', 'a')
    decider.running = false
    own.untag()
    peer.tag()
    peer.says({ active: true, epoch: 4 })
    world.run(3600)
    decider.monotonicSkewMs -= 3600_000
    decider.running = true
    world.step(1)
    t.strictSame(decider.steps(), [], 'a higher claim lives')
    world.run(60)
    t.strictSame(decider.steps(), ['demote'])
    t.strictSame(world.holders, ['b'])
    t.end()
  })
  t.end()
})

t.test('an outage', t => {
  t.test('of GitLab holds: nothing is written, whatever happens meanwhile', t => {
    const { world, decider, own, peer } = quiet('a', 'b')
    world.gitlabDown = true
    peer.dies()
    own.pods = 99
    world.run(6 * 3600)
    t.ok(
      decider.plans.every(({ plan }) => {
        const { state, step, publish, probes } = plan
        return state === 'HOLD' && step.kind === 'none' && publish === undefined && probes.length === 0
      }),
    )
    t.end()
  })

  t.test('of GitLab makes scores settle: for 180 s after it they rise, and do not fall', t => {
    const { world, decider, peer } = quiet('a', 'b')
    world.gitlabDown = true
    world.run(60)
    world.gitlabDown = false
    peer.reports(0)
    world.step(10)
    for (let seconds = 20; seconds < 180; seconds += 10) {
      world.step(10)
      t.equal(decider.plan.next.scores['b'], 4)
    }
    t.strictSame(decider.steps(), [])
    peer.reports(6)
    world.step(5)
    t.equal(decider.plan.next.scores['b'], 6)
    peer.reports(0)
    world.run(60)
    t.strictSame(decider.steps().slice(0, 1), ['promote'], 'and then they fall')
    t.end()
  })

  t.test('of Prometheus of up to T_unknown moves nothing, whoever is hit', t => {
    for (const hit of [['a'], ['b'], ['a', 'b']]) {
      const world = new World()
      world.cluster('a').says({ active: true, epoch: 1 })
      world.cluster('b').says({})
      world.cluster('a').tag()
      const deciders = [world.decider('a'), world.decider('b')]
      world.run(1200)
      for (const name of hit) world.cluster(name).pods = null
      world.run(600)
      for (const name of hit) world.cluster(name).pods = 4
      world.run(1200)
      t.strictSame(
        deciders.map(decider => decider.steps()),
        [[], []],
        hit.join(' and '),
      )
    }
    t.end()
  })

  t.test('of Prometheus for longer moves the tag to a cluster that is known to serve', t => {
    const world = new World()
    world.cluster('a').says({ active: true, epoch: 1 })
    world.cluster('b').says({})
    world.cluster('a').tag()
    world.decider('a')
    world.decider('b')
    world.run(1200)
    world.cluster('a').pods = null
    world.run(900)
    t.strictSame(world.holders.includes('b'), true)
    t.end()
  })

  t.test('of both Prometheus for longer leaves the tag where it is', t => {
    const world = new World()
    world.cluster('a').says({ active: true, epoch: 1 })
    world.cluster('b').says({})
    world.cluster('a').tag()
    world.decider('a')
    world.decider('b')
    world.run(1200)
    for (const cluster of world.clusters.values()) cluster.pods = null
    for (let seconds = 0; seconds < 7200; seconds += 10) {
      world.step(10)
      t.ok(world.holders.length >= 1)
    }
    t.end()
  })

  t.test('of the way to GitLab from one cluster, its runners fine: no move for an hour', t => {
    const world = new World()
    world.cluster('a').says({ active: true, epoch: 1 })
    world.cluster('b').says({})
    world.cluster('a').tag()
    const [a, b] = [world.decider('a'), world.decider('b')]
    world.run(1200)
    a.cutOff = true
    world.run(3600)
    t.strictSame([a.steps(), b.steps()], [[], []])
    t.equal(b.plan.state, 'PEER_DECIDER_DOWN')
    t.end()
  })

  t.test('of the project’s token, the runners’ working: nothing can be read as a whole, so nothing moves', t => {
    const { world, decider } = quiet('a', 'b')
    decider.cutOff = true
    world.run(7200)
    t.strictSame(decider.steps(), [])
    t.end()
  })
  t.end()
})

t.test('configurations that drift apart', t => {
  t.test('a cluster renamed on its own side only: it waits, the others find its runners alive', t => {
    const world = new World(['a', 'b'])
    world.cluster('a').says({ active: true, epoch: 1 })
    world.cluster('b').says({})
    world.cluster('a').tag()
    const b = world.decider('b')
    const before = world.decider('a')
    world.run(1200)
    before.running = false
    const renamed = new World(['a2', 'b'])
    renamed.cluster('b').file = world.cluster('b').file
    renamed.cluster('a2').tag()
    const a2 = renamed.decider('a2')
    for (let seconds = 0; seconds < 600; seconds += 10) {
      world.step(10)
      renamed.cluster('b').file = world.cluster('b').file
      renamed.cluster('b').speaks = false
      renamed.step(10)
    }
    t.equal(a2.plan.state, 'CONFIG_MISMATCH')
    t.strictSame(a2.steps(), [])
    t.strictSame(b.steps(), [])
    t.equal(b.plan.state, 'PEER_DECIDER_DOWN')
    t.end()
  })

  t.test('a cluster removed on one side only: the tag is served all the time', t => {
    const world = new World(['a', 'b'])
    world.cluster('a').says({ active: true, epoch: 1 })
    world.cluster('b').says({})
    world.cluster('a').tag()
    const alone = poolOf('b', ['b'])
    const a = world.decider('a')
    const b = world.decider('b', { clusters: alone.clusters })
    world.run(1200)
    t.equal(a.plan.state, 'CONFIG_MISMATCH')
    t.strictSame(a.steps(), [])
    t.ok(b.alerts.includes('foreign_main_tag'), 'b knows a’s runners no more')
    t.ok(world.holders.includes('a'))
    t.end()
  })

  t.test('differing margins and priorities are no mismatch, and cause no see-saw', t => {
    const world = new World()
    world.cluster('a').says({ active: true, epoch: 1 })
    world.cluster('b').says({})
    world.cluster('a').tag()
    const swapped = poolOf('b').clusters.map(cluster => ({ ...cluster, priority: cluster.name === 'b' ? 9 : 0 }))
    const a = world.decider('a', { margin: 5 })
    const b = world.decider('b', { margin: 1, clusters: swapped })
    world.run(1200)
    world.cluster('b').pods = 5
    world.run(7200)
    t.strictSame([a.steps(), b.steps()], [['demote'], ['promote']])
    t.strictSame(world.holders, ['b'])
    t.end()
  })
  t.end()
})

t.test('stale runner entities', t => {
  t.test('that carry the tag do not make a cluster look as if it served', t => {
    const { world, decider, own, peer } = quiet('a', 'a', ['a', 'b'], 10)
    peer.says({ active: true, epoch: 4, available: 2, servingIds: [28, 29] })
    peer.tag(20, 21, 22, 23, 24, 25, 26, 27)
    world.run(300)
    t.strictSame(decider.steps(), [])
    t.equal(own.taggedIds.length, 10)
    peer.tag(28)
    world.step(10)
    t.ok(decider.demotes)
    t.end()
  })

  t.test('do not make a live cluster look dead when its decider is silent', t => {
    const { world, decider, peer } = quiet('a', 'b', ['a', 'b'], 10)
    peer.says({ available: 1, servingIds: [29] })
    peer.speaks = false
    peer.answers = false
    for (let seconds = 0; seconds < 600; seconds += 10) {
      world.step(10)
      const live = peer.runners.find(({ id }) => id === 29)
      if (live && decider.probes.includes(29)) live.contactedAtMs = world.serverMs + 2000
    }
    t.strictSame(decider.steps(), [])
    t.end()
  })
  t.end()
})

t.test('a total death of the holder is over within two minutes, fencing included', t => {
  const world = new World()
  world.cluster('a').says({ active: true, epoch: 1 })
  world.cluster('b').says({})
  world.cluster('a').tag()
  const [a, b] = [world.decider('a'), world.decider('b')]
  world.run(1200)
  a.running = false
  world.cluster('a').dies()
  const seconds = world.secondsUntil(() => world.holders.includes('b'), 300)
  t.ok(seconds !== undefined && seconds <= 120, `${seconds} s`)
  world.run(20)
  t.strictSame(world.holders, ['b'])
  t.strictSame(b.steps(), ['promote', 'tend'])
  a.restarts()
  a.running = true
  world.run(3600)
  t.strictSame(world.holders, ['b'], 'no failing back by itself')
  t.end()
})
