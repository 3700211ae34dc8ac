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
