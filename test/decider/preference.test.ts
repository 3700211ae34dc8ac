import t from 'tap'
import { World, quiet } from './scenario.ts'

t.test('a preference move', t => {
  /** Cluster b holds with 4; a has watched for long. */
  const stronger = (pods: number) => {
    const scene = quiet('a', 'b')
    scene.own.pods = pods
    return scene
  }

  t.test('needs the margin for 300 s', t => {
    const { world, decider } = stronger(5)
    world.step(10)
    t.equal(decider.plan.state, 'WAITING')
    world.run(280)
    world.step(19.999)
    t.equal(decider.plan.state, 'WAITING')
    t.strictSame(decider.steps(), [])
    world.step(0.001)
    t.equal(decider.promotes, 'prefer')
    t.end()
  })

  t.test('a tie moves nothing, ever', t => {
    const { world, decider } = stronger(4)
    world.run(7200)
    t.strictSame(decider.steps(), [])
    t.end()
  })

  t.test('the margin is the larger of the absolute and the relative one, rounded up', t => {
    for (const [incumbent, own, moves] of [
      [4, 5, true],
      [5, 6, true],
      [6, 7, false],
      [6, 8, true],
      [10, 11, false],
      [10, 12, true],
      [11, 13, false],
      [11, 14, true],
    ] as const) {
      const { world, decider, own: self, peer } = quiet('a', 'b')
      peer.reports(incumbent)
      self.pods = own
      world.run(330)
      t.equal(decider.steps().includes('promote'), moves, `${own} against ${incumbent}`)
    }
    t.end()
  })

  t.test('one cycle of weakness within the 300 s starts them anew', t => {
    const { world, decider, own } = stronger(5)
    world.run(290)
    own.pods = 4
    world.step(10)
    own.pods = 5
    world.run(300)
    t.strictSame(decider.steps(), [])
    world.step(10)
    t.equal(decider.promotes, 'prefer')
    t.end()
  })

  t.test('the own number must be known all the time: one unknown cycle starts the 300 s anew', t => {
    const { world, decider, own } = stronger(5)
    world.run(290)
    own.pods = null
    world.step(10)
    own.pods = 5
    world.run(300)
    t.strictSame(decider.steps(), [])
    world.step(10)
    t.equal(decider.promotes, 'prefer')
    t.end()
  })

  t.test('never on an unknown own number', t => {
    const { world, decider, own } = stronger(9)
    world.step(10)
    own.pods = null
    world.run(590)
    t.strictSame(decider.steps(), [])
    t.end()
  })

  t.test('a rollout of the incumbent freezes it, and the 300 s count from its end', t => {
    const { world, decider, peer } = stronger(5)
    peer.says({ available: 3, total: 3, desired: 4 })
    world.run(3600)
    t.strictSame(decider.steps(), [])
    peer.says({ total: 4 })
    world.run(300)
    t.strictSame(decider.steps(), [])
    world.step(10)
    t.equal(decider.promotes, 'prefer')
    t.end()
  })

  t.test('only the first in rank moves', t => {
    const { world, decider, own } = quiet('a', 'c', ['a', 'b', 'c'])
    own.pods = 8
    world.cluster('b').reports(9)
    world.run(1200)
    t.strictSame(decider.steps(), [])
    world.cluster('b').reports(8)
    world.run(310)
    t.equal(decider.promotes, 'prefer', 'equal scores: a has the higher priority')
    t.end()
  })

  t.test('waits 900 s after the epoch changed', t => {
    const { world, decider, own, peer } = quiet('a', 'b')
    peer.says({ epoch: 4 })
    own.pods = 9
    world.step(10)
    world.run(880)
    world.step(19.999)
    t.strictSame(decider.steps(), [])
    world.step(0.001)
    t.equal(decider.promotes, 'prefer')
    t.end()
  })

  t.test('waits 900 s after a start, which may hide a change', t => {
    const { world, decider, own } = quiet('a', 'b')
    own.pods = 9
    decider.restarts()
    world.step(10)
    world.run(890)
    t.strictSame(decider.steps(), [])
    world.step(10)
    t.equal(decider.promotes, 'prefer')
    t.end()
  })

  t.test('a rolling restart moves nothing, in either cluster', t => {
    for (const side of ['own', 'peer'] as const) {
      const scene = quiet('a', 'b')
      const { world, decider, own } = scene
      for (let round = 0; round < 20; round++) {
        for (const pods of [4, 3, 2, 3]) {
          if (side === 'own') own.pods = pods
          else scene.peer.reports(pods)
          world.run(60)
        }
      }
      t.strictSame(decider.steps(), [], side)
    }
    t.end()
  })

  t.test('stops when the claim cannot be published', t => {
    const { world, decider, own } = stronger(9)
    world.run(300)
    decider.publishing = 'fails'
    world.run(10)
    t.equal(decider.promotes, 'prefer')
    t.strictSame(own.taggedIds, [])
    t.end()
  })

  t.test('never over a cluster whose strength nobody knows', t => {
    for (const file of [{ kind: 'absent' } as const, { kind: 'unreadable', why: 'schema 2' } as const]) {
      const world = new World()
      const [own, peer] = [world.cluster('a'), world.cluster('b')]
      own.says({})
      peer.tag()
      peer.file = file
      const decider = world.decider('a')
      world.run(7200)
      t.strictSame(decider.steps(), [], file.kind)
    }
    t.end()
  })

  t.test('never before people’s wishes could be read once', t => {
    const { world, decider, own } = quiet('a', 'b')
    own.pods = 9
    world.control = { kind: 'unreadable', why: 'not JSON' }
    decider.restarts()
    world.run(2000)
    t.strictSame(decider.steps(), [])
    t.ok(decider.alerts.includes('unreadable_control'))
    world.wish({})
    world.run(310)
    t.ok(decider.steps().includes('promote'))
    t.end()
  })
  t.end()
})
