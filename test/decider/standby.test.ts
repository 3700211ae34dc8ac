import t from 'tap'
import { World, quiet } from './scenario.ts'

t.test('an emergency: nobody serves', t => {
  t.test('while a live claim exists, a standby waits failFor, then takes over', t => {
    const { world, decider, peer } = quiet('a', 'b')
    peer.reports(0)
    world.step(10)
    t.equal(decider.plan.state, 'WAITING')
    world.step(19.999)
    t.equal(decider.promotes, undefined)
    world.step(0.001)
    t.equal(decider.promotes, 'emergency')
    t.end()
  })

  t.test('a recovery within failFor starts the wait anew', t => {
    const { world, decider, peer } = quiet('a', 'b')
    peer.reports(0)
    world.run(20)
    peer.reports(1)
    world.run(10)
    peer.reports(0)
    world.run(20)
    t.strictSame(decider.steps(), [])
    world.run(10)
    t.equal(decider.promotes, 'emergency')
    t.end()
  })

  t.test('without a live claim the first in rank takes over at once, the next ones 20 s later each', t => {
    for (const [self, seconds] of [
      ['a', 0],
      ['b', 20],
      ['c', 40],
    ] as const) {
      const { world, decider } = quiet(self, 'd', ['a', 'b', 'c', 'd'])
      world.cluster('d').says({ active: false })
      world.step(10)
      for (let waited = 0; waited < seconds; waited += 10) {
        t.equal(decider.promotes, undefined, `${self} after ${waited} s`)
        world.step(10)
      }
      t.equal(decider.promotes, 'emergency', `${self} after ${seconds} s`)
    }
    t.end()
  })

  t.test('rank goes by score, then by priority, then by name, among the living', t => {
    const waits = (pods: Record<string, number>, priorities: Record<string, number>, dead: string[] = []) =>
      ['a', 'b', 'c'].map(self => {
        const names = ['a', 'b', 'c', 'd']
        const world = new World(names)
        const clusters = names.map(name => ({
          name,
          tag: `runner-${name}`,
          priority: priorities[name] ?? 0,
          weight: 1,
        }))
        for (const cluster of world.clusters.values()) {
          cluster.says({ active: cluster.name === 'd', epoch: 1 })
          cluster.reports(cluster.name === 'd' ? 9 : (pods[cluster.name] ?? 1))
        }
        world.cluster('d').tag()
        const decider = world.decider(self, { clusters })
        for (const name of dead) world.cluster(name).dies()
        world.run(200)
        world.cluster('d').reports(pods['d'] ?? 0)
        world.cluster('d').says({ active: false })
        const seconds = world.secondsUntil(() => decider.promotes !== undefined, 200)
        return seconds === undefined ? undefined : (seconds - 10) / 20
      })
    t.strictSame(waits({ a: 1, b: 2, c: 3 }, { a: 9 }), [2, 1, 0], 'score')
    t.strictSame(waits({ a: 1, b: 2, c: 3, d: 3 }, { d: 9 }), [3, 2, 1], 'the former holder has a rank, too')
    t.strictSame(waits({}, { c: 9, b: 8 }), [2, 1, 0], 'priority')
    t.strictSame(waits({}, {}), [0, 1, 2], 'name')
    t.strictSame(waits({}, { a: 9 }, ['a']).slice(1), [0, 1], 'the dead have no rank')
    t.end()
  })

  t.test('a standby that is known to have nothing never promotes itself', t => {
    const { world, decider, own, peer } = quiet('a', 'b')
    own.pods = 0
    peer.reports(0)
    world.run(3600)
    t.strictSame(decider.steps(), [])
    t.end()
  })

  t.test('one pod known to be available is enough, whatever is unknown of the others', t => {
    const { world, decider, own, peer } = quiet('a', 'b')
    own.capacity = { known: true, available: 1, unknownPods: 3, total: 4, desired: null, servingIds: [10] }
    peer.reports(0)
    world.run(30)
    t.equal(decider.promotes, 'emergency')
    t.end()
  })

  t.test('somebody serves only who lives, is active, scores and holds', t => {
    const cases: [string, (scene: ReturnType<typeof quiet>) => void][] = [
      ['not active', ({ peer }) => peer.says({ active: false })],
      ['no pods', ({ peer }) => peer.reports(0)],
      ['unknown for too long', ({ peer }) => peer.says({ available: null, unknownForSeconds: 601 })],
      ['no tagged runner', ({ peer }) => peer.untag()],
      ['only paused runners', ({ peer }) => peer.runners.forEach(runner => (runner.paused = true))],
      ['dead', ({ peer }) => peer.dies()],
    ]
    for (const [name, change] of cases) {
      const scene = quiet('a', 'b')
      change(scene)
      t.ok(
        scene.world.secondsUntil(() => scene.decider.promotes === 'emergency', 130),
        name,
      )
    }
    t.end()
  })

  t.test('the new claim is one above every epoch ever seen, and runners with pods get the tag first', t => {
    const { world, decider, own, peer } = quiet('a', 'b', ['a', 'b'], 3)
    own.capacity = { known: true, available: 2, unknownPods: 0, total: 2, desired: null, servingIds: [12] }
    for (const runner of own.runners) runner.online = runner.id === 11
    peer.says({ epoch: 41 })
    world.step(10)
    peer.reports(0)
    peer.says({ epoch: 7, active: false })
    world.step(10)
    t.match(decider.step, { kind: 'promote', cause: 'emergency', status: { epoch: 42, active: true } })
    t.strictSame(decider.adds, [12, 11, 10])
    t.end()
  })

  t.test('it goes on when the claim cannot be published', t => {
    const { world, decider, own, peer } = quiet('a', 'b')
    peer.says({ active: false })
    decider.publishing = 'fails'
    world.step(10)
    t.equal(decider.promotes, 'emergency')
    t.strictSame(own.taggedIds, [10])
    t.end()
  })
  t.end()
})

t.test('the last resort', t => {
  t.test('own capacity unknown, nobody else can: after 120 s', t => {
    const { world, decider, own, peer } = quiet('a', 'b')
    own.pods = null
    peer.reports(0)
    world.step(10)
    t.equal(decider.plan.state, 'WAITING')
    for (let seconds = 10; seconds < 120; seconds += 10) {
      world.step(10)
      if (seconds < 110) t.equal(decider.promotes, undefined)
    }
    t.equal(decider.promotes, undefined, 'after 110 s')
    world.step(10)
    t.equal(decider.promotes, 'last_resort')
    t.equal(decider.plan.state, 'LAST_RESORT')
    t.end()
  })

  t.test('never while somebody else scores, though it does not serve', t => {
    const { world, decider, own, peer } = quiet('a', 'b')
    own.pods = null
    peer.says({ active: false })
    world.run(3600)
    t.strictSame(decider.steps(), [])
    t.end()
  })

  t.test('never while somebody serves, though its score is 0', t => {
    const world = new World()
    const [own, peer] = [world.cluster('a'), world.cluster('b')]
    own.pods = null
    peer.tag()
    const decider = world.decider('a')
    world.run(3600)
    t.strictSame(decider.steps(), [], 'b has no decider yet, GitLab calls its tagged runner online')
    t.end()
  })

  t.test('known to be zero is not unknown', t => {
    const { world, decider, own, peer } = quiet('a', 'b')
    own.pods = 0
    peer.reports(0)
    world.run(600)
    t.strictSame(decider.steps(), [])
    t.end()
  })
  t.end()
})

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
