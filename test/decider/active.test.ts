import t from 'tap'
import { World, quiet } from './scenario.ts'

t.test('yielding', t => {
  t.test('the active cluster yields to a proven higher claim that serves, and to nothing less', t => {
    const { world, decider, own, peer } = quiet('a', 'a')
    peer.says({ active: true, epoch: 4 })
    world.run(100)
    t.strictSame(decider.steps(), [], 'a claim alone moves nothing')
    peer.tag()
    world.step(10)
    t.match(decider.step, {
      kind: 'demote',
      winner: 'b',
      ours: { epoch: 3, cluster: 'a' },
      removeIds: [10],
      status: { active: false, epoch: 3 },
    })
    t.equal(decider.plan.state, 'DEMOTING')
    t.strictSame(own.taggedIds, [])
    world.run(1000)
    t.equal(decider.plan.state, 'STANDBY')
    t.strictSame(decider.steps(), ['demote'])
    t.end()
  })

  t.test('of two claims exactly the lower one yields', t => {
    for (const [epochA, epochB, loser] of [
      [5, 4, 'b'],
      [4, 5, 'a'],
      [4, 4, 'a'],
    ] as const) {
      const world = new World()
      world.cluster('a').says({ active: true, epoch: epochA })
      world.cluster('b').says({ active: true, epoch: epochB })
      for (const cluster of world.clusters.values()) cluster.tag()
      const [a, b] = [world.decider('a'), world.decider('b')]
      world.run(300)
      t.strictSame([a.steps(), b.steps()], loser === 'a' ? [['demote'], []] : [[], ['demote']])
      t.strictSame(world.holders, loser === 'a' ? ['b'] : ['a'])
    }
    t.end()
  })

  t.test('of three claims all but the highest yield', t => {
    const world = new World(['a', 'b', 'c'])
    for (const cluster of world.clusters.values()) {
      cluster.says({ active: true, epoch: cluster.name === 'b' ? 6 : 5 })
      cluster.tag()
    }
    for (const name of ['a', 'b', 'c']) world.decider(name)
    world.run(300)
    t.strictSame(world.holders, ['b'])
    t.end()
  })

  t.test('own capacity unknown or zero makes it yield no earlier', t => {
    for (const pods of [null, 0]) {
      const { world, decider, own, peer } = quiet('a', 'a')
      own.pods = pods
      peer.says({ active: true, epoch: 2 })
      peer.tag()
      world.run(3600)
      t.strictSame(decider.steps(), [])
      t.strictSame(own.taggedIds, [10])
    }
    t.end()
  })

  t.test('an ambiguous publish changes nothing until the file is read again', t => {
    const { world, decider, own, peer } = quiet('a', 'a')
    peer.says({ active: true, epoch: 4 })
    peer.tag()
    decider.publishing = 'ambiguous'
    world.step(10)
    t.ok(decider.demotes)
    t.strictSame(own.taggedIds, [10], 'not confirmed, not removed')
    decider.publishing = 'works'
    world.run(50)
    t.notOk(decider.demotes, 'it may still land')
    world.step(10)
    t.ok(decider.demotes, 'now as a leftover')
    t.match(decider.step, { ours: null })
    t.strictSame(own.taggedIds, [])
    t.end()
  })
  t.end()
})

t.test('repair', t => {
  t.test('a tag that an administrator removed comes back with the next cycle', t => {
    const { world, decider, own } = quiet('a', 'a', ['a', 'b'], 3)
    own.untag()
    own.tag(11)
    world.step(10)
    t.strictSame(decider.adds, [10, 12])
    world.run(100)
    t.strictSame(decider.steps(), ['tend'])
    t.end()
  })

  t.test('a runner that is new gets the tag', t => {
    const { world, decider, own } = quiet('a', 'a')
    own.runners.push({ id: 19, cluster: 'a', tagged: false, paused: false, online: true, contactedAtMs: null })
    world.step(10)
    t.strictSame(decider.adds, [19])
    t.end()
  })

  t.test('not while a peer with a higher claim holds and spoke lately, first sight included', t => {
    const world = new World()
    const [own, peer] = [world.cluster('a'), world.cluster('b')]
    own.says({ active: true, epoch: 1 })
    peer.says({ active: true, epoch: 2, available: null })
    peer.tag()
    const decider = world.decider('a')
    world.step(10)
    t.strictSame(decider.steps(), [])
    t.match(decider.plan.explain, 'higher claim')
    world.run(300)
    t.strictSame(decider.steps(), [], 'it proves nothing, but it lives')
    t.end()
  })

  t.test('a higher claim without a tagged runner does not hinder it', t => {
    const { world, decider, own, peer } = quiet('a', 'a')
    own.untag()
    peer.says({ active: true, epoch: 9 })
    world.step(10)
    t.strictSame(decider.adds, [10])
    t.end()
  })

  t.test('nor does a lower claim that holds', t => {
    const { world, decider, own, peer } = quiet('a', 'a')
    own.untag()
    peer.says({ active: true, epoch: 2 })
    peer.tag()
    world.step(10)
    t.strictSame(decider.adds, [10])
    t.end()
  })

  t.test('while it runs, a silent higher claim stops hindering it after T_dead', t => {
    const { world, decider, own, peer } = quiet('a', 'a')
    peer.says({ active: true, epoch: 4, available: null })
    peer.tag()
    world.step(10)
    peer.speaks = false
    own.untag()
    for (const gap of [20, 20, 15]) world.step(gap)
    t.strictSame(decider.steps(), [], 'at exactly T_dead')
    world.step(0.001)
    t.strictSame(decider.adds, [10])
    t.end()
  })

  t.test('a returning cluster that was fenced waits until the higher claim is proven or dead', t => {
    const returned = (answers: boolean) => {
      const world = new World()
      const [own, peer] = [world.cluster('a'), world.cluster('b')]
      own.says({ active: true, epoch: 1 })
      peer.says({ active: true, epoch: 2 })
      peer.tag()
      peer.speaks = false
      peer.answers = answers
      return { world, own, peer, decider: world.decider('a') }
    }
    const dead = returned(false)
    dead.world.run(70)
    t.strictSame(dead.decider.steps(), [], 'silent for longer than T_dead, but still being asked')
    t.equal(
      dead.world.secondsUntil(() => dead.decider.adds.length > 0, 100),
      50,
      'dead',
    )
    const asleep = returned(true)
    asleep.world.run(1800)
    t.strictSame(asleep.decider.steps(), [], 'its runners answer: it may hold with every right')
    const alive = returned(true)
    alive.peer.speaks = true
    alive.world.run(100)
    t.strictSame(alive.decider.steps(), ['demote'], 'it proves its life: the old claim goes')
    t.strictSame(alive.world.holders, ['b'])
    t.end()
  })
  t.end()
})

t.test('a main tag on a runner of no cluster, or of several, is reported and left alone', t => {
  const { world, decider } = quiet('a', 'a')
  world.strays.push({ id: 99, cluster: null, tagged: true, paused: false, online: true, contactedAtMs: null })
  world.run(100)
  t.strictSame(decider.steps(), [])
  t.match(decider.plan.alerts, [{ kind: 'foreign_main_tag', runnerIds: [99] }])
  t.end()
})
