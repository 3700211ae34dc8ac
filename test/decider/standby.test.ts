import t from 'tap'
import { quiet } from './scenario.ts'

t.test('leftover tags of a standby', t => {
  t.test('stay and serve while nobody is proven to serve', t => {
    const { world, decider, own, peer } = quiet('a', 'b')
    own.tag()
    peer.says({ available: null })
    world.run(600)
    t.strictSame(decider.steps(), [])
    t.strictSame(own.taggedIds, [10])
    t.end()
  })

  t.test('go as soon as another is seen serving, whatever its epoch', t => {
    const { world, decider, own } = quiet('a', 'b')
    own.says({ epoch: 99 })
    own.tag()
    world.step(10)
    t.ok(decider.demotes)
    t.match(decider.step, { winner: 'b', ours: null, removeIds: [10], status: { active: false } })
    t.strictSame(own.taggedIds, [])
    t.end()
  })

  t.test('go from paused runners, too', t => {
    const { world, decider, own } = quiet('a', 'b', ['a', 'b'], 2)
    own.tag()
    for (const runner of own.runners) runner.paused = true
    world.step(10)
    t.match(decider.step, { kind: 'demote', removeIds: [10, 11] })
    t.end()
  })
  t.end()
})

t.test('quarantine', t => {
  /** Cluster a yields to b, which dies at the same moment: nobody serves, a could. */
  const yielded = () => {
    const scene = quiet('a', 'a')
    scene.peer.says({ active: true, epoch: 4 })
    scene.peer.tag()
    scene.world.step(10)
    t.ok(scene.decider.demotes)
    scene.peer.reports(0)
    scene.peer.untag()
    scene.peer.says({ active: false })
    return scene
  }

  t.test('no promotion within 60 s of the own file turning inactive, not even in an emergency', t => {
    const { world, decider } = yielded()
    world.step(10)
    t.equal(decider.plan.state, 'WAITING')
    for (let seconds = 0; seconds < 50; seconds += 10) world.step(10)
    world.step(9.999)
    t.equal(decider.promotes, undefined)
    world.step(0.001)
    t.equal(decider.promotes, 'emergency')
    t.end()
  })

  t.test('it goes by GitLab’s clock: a local clock set forward shortens nothing', t => {
    const { world, decider } = yielded()
    world.step(10)
    decider.wallSkewMs += 3600_000
    world.run(50)
    t.equal(decider.promotes, undefined)
    world.run(10)
    t.equal(decider.promotes, 'emergency')
    t.end()
  })

  t.test('a pin, even a forced one, waits as well', t => {
    const { world, decider } = yielded()
    world.pin('a', { force: true })
    world.run(60)
    t.equal(decider.promotes, undefined)
    world.run(10)
    t.ok(decider.promotes)
    t.end()
  })

  t.test('it counts from a removal that was sent and whose fate is unknown', t => {
    const { world, decider, own, peer } = quiet('a', 'b')
    own.tag()
    decider.removing = 'lost'
    world.step(10)
    t.ok(decider.demotes)
    decider.removing = 'works'
    peer.untag()
    peer.says({ active: false })
    world.run(50)
    t.equal(decider.promotes, undefined)
    world.run(10)
    t.equal(decider.promotes, 'emergency')
    t.end()
  })

  t.test('an outage of GitLab right after the removal does not make it forgotten', t => {
    const { world, decider, own, peer } = quiet('a', 'b')
    own.tag()
    decider.removing = 'lost'
    world.step(10)
    peer.untag()
    peer.says({ active: false })
    peer.speaks = false
    world.gitlabDown = true
    world.run(20)
    world.gitlabDown = false
    world.run(30)
    t.equal(decider.promotes, undefined)
    world.run(10)
    t.equal(decider.promotes, 'emergency')
    t.end()
  })

  t.test('a process that starts beside an inactive file takes it for just turned', t => {
    const { world, decider, peer } = quiet('a', 'b')
    peer.untag()
    peer.says({ active: false })
    decider.restarts()
    world.step(10)
    world.run(50)
    t.equal(decider.promotes, undefined)
    world.run(10)
    t.equal(decider.promotes, 'emergency')
    t.end()
  })

  t.test('a process whose predecessor’s late write turns the file inactive waits as well', t => {
    const { world, decider, own, peer } = quiet('a', 'a')
    peer.says({ active: false })
    own.says({ active: false })
    own.untag()
    world.step(10)
    t.equal(decider.plan.state, 'WAITING')
    world.run(50)
    t.equal(decider.promotes, undefined)
    world.run(10)
    t.equal(decider.promotes, 'emergency')
    t.end()
  })
  t.end()
})

t.test('a decider that could not publish for T_dead', t => {
  const muted = (holder: 'a' | 'b', change: (scene: ReturnType<typeof quiet>) => void) => {
    const scene = quiet('a', holder)
    scene.decider.publishing = 'fails'
    scene.world.run(60)
    change(scene)
    scene.world.step(10)
    return scene
  }

  t.test('is muted after T_dead and not before', t => {
    const { world, decider } = quiet('a', 'b')
    world.step(10)
    decider.publishing = 'fails'
    const published = decider.plans.at(-1)?.plan.publish !== undefined
    if (!published) world.step(0.001)
    const lastMs = decider.plans.at(-1)?.seen.outcomes.lastPublishMonotonicMs ?? 0
    for (let step = 0; step < 9; step++) {
      world.step(7)
      const seen = decider.plans.at(-1)?.seen
      const sinceMs = (seen?.monotonicMs ?? 0) - (seen?.outcomes.lastPublishMonotonicMs ?? lastMs)
      t.equal(decider.alerts.includes('cannot_publish'), sinceMs > 55_000, `${sinceMs} ms`)
    }
    t.end()
  })

  t.test('does not add while anybody holds', t => {
    const { decider } = muted('b', ({ peer }) => peer.reports(0))
    t.strictSame(decider.steps(), [])
    t.strictSame(decider.alerts, ['cannot_publish'])
    t.end()
  })

  t.test('adds when nobody holds', t => {
    const { world, decider, own, peer } = quiet('a', 'b')
    decider.publishing = 'fails'
    world.run(60)
    peer.untag()
    peer.says({ active: false })
    world.run(10)
    t.equal(decider.promotes, 'emergency')
    t.strictSame(own.taggedIds, [10])
    t.end()
  })

  t.test('does not remove its leftovers', t => {
    const { decider, own } = muted('b', ({ own }) => own.tag())
    t.strictSame(decider.steps(), [])
    t.strictSame(own.taggedIds, [10])
    t.end()
  })

  t.test('does not yield', t => {
    const { decider } = muted('a', ({ peer }) => {
      peer.says({ active: true, epoch: 4 })
      peer.tag()
    })
    t.strictSame(decider.steps(), [])
    t.end()
  })

  t.test('does not prefer', t => {
    const { world, decider, own } = muted('b', ({ own }) => (own.pods = 9))
    world.run(2000)
    t.strictSame(decider.steps(), [])
    t.strictSame(own.taggedIds, [])
    t.end()
  })

  t.test('does not repair while anybody holds, and does when nobody does', t => {
    const { world, decider, own } = quiet('a', 'a', ['a', 'b'], 2)
    decider.publishing = 'fails'
    world.run(60)
    own.untag()
    own.tag(11)
    world.step(10)
    t.strictSame(decider.steps(), [])
    own.untag()
    world.step(10)
    t.strictSame(decider.adds, [10, 11])
    t.end()
  })
  t.end()
})
