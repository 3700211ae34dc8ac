import t from 'tap'
import { World, quiet } from './scenario.ts'

t.test('the first start', t => {
  t.test('no file and nobody tagged: one cluster claims, the other stands by', t => {
    const world = new World()
    const [a, b] = [world.decider('a'), world.decider('b')]
    world.run(600)
    t.strictSame(world.holders, ['a'])
    t.strictSame([a.steps(), b.steps()], [['promote'], []])
    t.match(world.cluster('a').status, { active: true, epoch: 1 })
    t.match(world.cluster('b').status, { active: false, epoch: 0 })
    t.end()
  })

  t.test('one cluster tagged by hand: served all the time, and in the end by one that claims', t => {
    for (const [tagged, first] of [
      ['a', 'a'],
      ['a', 'b'],
      ['b', 'a'],
      ['b', 'b'],
    ] as const) {
      const world = new World()
      world.cluster(tagged).tag()
      world.decider(first)
      world.run(120)
      t.ok(world.holders.includes(tagged))
      world.decider(first === 'a' ? 'b' : 'a')
      for (let seconds = 0; seconds < 1200; seconds += 10) {
        world.step(10)
        if (world.holders.length === 0) t.fail(`nobody is tagged after ${seconds} s`)
      }
      const name = `${tagged} tagged, ${first} installed first`
      t.equal(world.holders.length, 1, name)
      t.ok(world.cluster(world.holders[0] ?? '').status?.active)
      // The tagged one installed last speaks up as inactive first, and then rank decides.
      if (tagged === 'a' || first === 'b') t.strictSame(world.holders, [tagged], name)
    }
    t.end()
  })

  t.test('both tagged: one claims, the other cleans up, and never is nobody tagged', t => {
    const world = new World()
    for (const cluster of world.clusters.values()) cluster.tag()
    world.decider('a')
    world.decider('b')
    for (let seconds = 0; seconds < 600; seconds += 10) {
      world.step(10)
      t.ok(world.holders.length >= 1)
    }
    t.equal(world.holders.length, 1)
    t.strictSame([...world.clusters.values()].map(({ status }) => status?.active).sort(), [false, true])
    t.end()
  })

  t.test('the decider installed first in the untagged cluster leaves the tag where people put it', t => {
    const world = new World()
    world.cluster('b').tag()
    world.cluster('a').pods = 90
    const a = world.decider('a')
    world.run(6 * 3600)
    t.strictSame(a.steps(), [])
    t.strictSame(world.holders, ['b'])
    t.end()
  })

  t.test('hand-tagged runners that GitLab calls offline, or that are paused, serve nothing', t => {
    for (const change of [{ online: false }, { online: null }, { paused: true }]) {
      const world = new World()
      const peer = world.cluster('b')
      peer.tag()
      Object.assign(peer.runners[0] ?? {}, change)
      const a = world.decider('a')
      t.equal(
        world.secondsUntil(() => a.promotes !== undefined, 100),
        10,
        JSON.stringify(change),
      )
    }
    t.end()
  })

  t.test('the own number unknown at the first start: the last resort after 120 s', t => {
    const world = new World()
    world.cluster('a').pods = null
    const a = world.decider('a')
    t.equal(
      world.secondsUntil(() => a.promotes === 'last_resort', 300),
      130,
    )
    t.end()
  })

  t.test('a runner without any cluster is nobody’s, and an empty pool does nothing', t => {
    const world = new World(['a', 'b'], 0)
    const a = world.decider('a')
    world.cluster('a').pods = null
    world.run(60)
    t.strictSame(a.steps(), [])
    t.end()
  })
  t.end()
})

t.test('a restart', t => {
  t.test('of the active decider changes nothing, with Prometheus up or down', t => {
    for (const pods of [4, null]) {
      const { world, decider, own } = quiet('a', 'a')
      decider.restarts()
      own.pods = pods
      world.run(590)
      t.strictSame(decider.steps(), [])
      t.match(own.status, { active: true, epoch: 3, available: pods, lastKnown: 4 })
      t.strictSame(own.status?.servingIds, [10])
    }
    t.end()
  })

  t.test('with Prometheus down goes on counting the unknown time from the own file', t => {
    const { world, decider, own } = quiet('a', 'a')
    own.pods = null
    world.run(300)
    const before = own.status?.unknownForSeconds ?? 0
    t.ok(before >= 270)
    decider.restarts()
    world.run(40)
    t.ok((own.status?.unknownForSeconds ?? 0) >= before)
    t.end()
  })

  t.test('of a standby shows no sudden death nor sudden life of the other', t => {
    const { world, decider } = quiet('a', 'b')
    for (let round = 0; round < 20; round++) {
      decider.restarts()
      world.run(70)
    }
    t.strictSame(decider.steps(), [])
    t.end()
  })

  t.test('a crash between the claim and the tags is mended by the next process', t => {
    const { world, decider, own, peer } = quiet('a', 'b')
    own.says({ active: true, epoch: 4 })
    decider.restarts()
    peer.says({ active: false })
    peer.untag()
    world.step(10)
    t.strictSame(decider.adds, [10])
    t.end()
  })

  t.test('a crash between the claim and the tags while the loser still serves: the claim wins', t => {
    const { world, decider, own } = quiet('a', 'b')
    own.says({ active: true, epoch: 4 })
    decider.restarts()
    world.step(10)
    t.strictSame(decider.adds, [10], 'the lower claim of b does not hinder it')
    t.end()
  })
  t.end()
})

t.test('the own file', t => {
  t.test('deleted while the process runs: it is published again as it was', t => {
    for (const holder of ['a', 'b'] as const) {
      const { world, decider, own } = quiet('a', holder)
      const before = own.status
      own.file = { kind: 'absent' }
      world.step(10)
      t.match(own.status, { active: before?.active, epoch: before?.epoch, available: 4 })
      world.run(100)
      t.strictSame(decider.steps(), [])
    }
    t.end()
  })

  t.test('deleted and the process restarted: the cluster that holds claims anew', t => {
    const { world, decider, own } = quiet('a', 'a')
    own.file = { kind: 'absent' }
    decider.restarts()
    world.run(60)
    t.match(own.status, { active: true })
    t.strictSame(own.taggedIds, [10])
    t.end()
  })

  t.test('broken: it is written anew, and the claim survives while the process does', t => {
    const { world, decider, own } = quiet('a', 'a')
    own.file = { kind: 'unreadable', why: 'not JSON' }
    world.step(10)
    t.match(own.status, { active: true, epoch: 3 })
    t.strictSame(decider.steps(), [])
    t.end()
  })
  t.end()
})
