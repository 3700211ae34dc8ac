import t from 'tap'
import { World, quiet } from './scenario.ts'

/**
 * What a decider says to people, word for word: who reads it at night must not be told half of it. Each row ends with
 * the cycle in question.
 */
const ROWS: readonly (readonly [state: string, sentence: string, arrange: () => World])[] = [
  [
    'HOLD',
    'GitLab cannot be read (no answer); nothing moves and nobody ages until it can.',
    () => {
      const { world } = quiet('a', 'a')
      world.gitlabDown = true
      return stepped(world)
    },
  ],
  [
    'CONFIG_MISMATCH',
    "Cluster b, c works with another pool configuration (main tag, clusters' names and tags, strength mode); nothing moves until they agree.",
    () => {
      const { world } = quiet('a', 'a', ['a', 'b', 'c'])
      for (const name of ['b', 'c']) world.cluster(name).says({ digest: 'another' })
      return stepped(world)
    },
  ],
  [
    'PAUSED',
    'Paused by kim until 2026-01-01T00:21:07.000Z: test',
    () => {
      const { world } = quiet('a', 'a')
      world.pause(60)
      return stepped(world)
    },
  ],
  [
    'DEMOTING',
    'Cluster b claims with a higher claim and is seen serving; the main tag leaves this cluster.',
    () => {
      const { world, peer } = quiet('a', 'a')
      peer.says({ active: true, epoch: 4 })
      peer.tag()
      return stepped(world)
    },
  ],
  [
    'DEMOTING',
    'Cluster b is seen serving; the main tag left over on this cluster goes.',
    () => {
      const { world, own } = quiet('a', 'b')
      own.tag()
      return stepped(world)
    },
  ],
  ['ACTIVE', 'Cluster a serves.', () => stepped(quiet('a', 'a').world)],
  [
    'ACTIVE',
    'Cluster a serves; 2 of its runners lack the main tag.',
    () => {
      const { world, own } = quiet('a', 'a', ['a', 'b'], 3)
      own.untag()
      own.tag(11)
      return stepped(world)
    },
  ],
  [
    'ACTIVE',
    'Cluster a claims, but b has a higher claim and holds; waiting to see whether it lives.',
    () => {
      const { world, own, peer } = quiet('a', 'a')
      own.untag()
      peer.says({ active: true, epoch: 4, available: null })
      peer.tag()
      return stepped(world)
    },
  ],
  [
    'PEER_DECIDER_DOWN',
    'Cluster a serves. The decider of cluster b is silent; its runners are being asked whether they live.',
    () => silent(quiet('a', 'a'), { seconds: 60 }),
  ],
  [
    'PEER_DECIDER_DOWN',
    'Cluster a serves. The decider of cluster b is silent; its runners live, so nothing moves.',
    () => silent(quiet('a', 'a'), { seconds: 100 }),
  ],
  [
    'PEER_DECIDER_DOWN',
    'The decider of cluster b is silent; its runners live, so nothing moves.',
    () => silent(quiet('a', 'b'), { seconds: 100 }),
  ],
  ['STANDBY', 'Cluster b serves; this cluster is not clearly stronger.', () => stepped(quiet('a', 'b').world)],
  [
    'WAITING',
    'Nobody serves the main tag and this cluster can. First, 60 s more until no removal of ours can still be under way.',
    () => {
      const { world, own, peer } = quiet('a', 'a')
      own.says({ active: false })
      peer.says({ available: 0 })
      return stepped(world)
    },
  ],
  [
    'WAITING',
    'Nobody serves; the pin leaves the main tag to cluster c.',
    () => {
      const { world } = quiet('a', 'b', ['a', 'b', 'c'])
      world.pin('c')
      world.cluster('b').untag()
      return stepped(world)
    },
  ],
  [
    'WAITING',
    'Nobody serves well, but this decider cannot publish, so it takes nothing over.',
    () => {
      const { world, decider, peer } = quiet('a', 'b')
      decider.publishing = 'fails'
      peer.says({ available: 0 })
      world.run(60)
      return world
    },
  ],
  [
    'WAITING',
    'Nobody serves; this cluster takes over in 40 s (rank 1).',
    () => {
      const { world, peer } = quiet('b', 'a')
      peer.reports(5)
      peer.untag()
      return stepped(world)
    },
  ],
  [
    'PROMOTING',
    'Nobody serves the main tag and this cluster can.',
    () => {
      const { world, peer } = quiet('a', 'b')
      peer.reports(0)
      world.run(30)
      return world
    },
  ],
  [
    'WAITING',
    "Nobody serves and this cluster's capacity is unknown; last resort in 120 s.",
    () => {
      const { world, own, peer } = quiet('a', 'b')
      own.pods = null
      peer.reports(0)
      return stepped(world)
    },
  ],
  [
    'LAST_RESORT',
    'Nobody serves, nobody else can, and it is not known that this cluster cannot.',
    () => {
      const { world, own, peer } = quiet('a', 'b')
      own.pods = null
      peer.reports(0)
      world.run(130)
      return world
    },
  ],
  [
    'STANDBY',
    'Nobody serves, and this cluster cannot either.',
    () => {
      const { world, own, peer } = quiet('a', 'b')
      own.pods = 0
      peer.reports(0)
      return stepped(world)
    },
  ],
  [
    'STANDBY',
    'Pinned to this cluster by kim: test; refused, because it has no available runner.',
    () => {
      const { world, own } = quiet('a', 'b')
      own.pods = 0
      world.pin('a')
      return stepped(world)
    },
  ],
  [
    'WAITING',
    'Pinned to this cluster by kim: test; waiting until its capacity is known.',
    () => {
      const { world, own } = quiet('a', 'b')
      own.pods = null
      world.pin('a')
      return stepped(world)
    },
  ],
  [
    'PROMOTING',
    'Pinned to this cluster by kim: test',
    () => {
      const { world } = quiet('a', 'b')
      world.pin('a')
      return stepped(world)
    },
  ],
  [
    'STANDBY',
    'Cluster b serves; nobody knows how strong it is.',
    () => {
      const { world, peer } = quiet('a', 'b')
      peer.file = { kind: 'unreadable', why: 'schema 2' }
      peer.speaks = false
      return stepped(world)
    },
  ],
  [
    'STANDBY',
    'Cluster b serves; people’s wishes cannot be read, so nothing moves by preference.',
    () => {
      const world = new World()
      world.control = { kind: 'unreadable', why: 'not JSON' }
      world.cluster('a').says({})
      world.cluster('b').says({ active: true, epoch: 3, available: 1 })
      world.cluster('b').tag()
      world.decider('a')
      return stepped(world)
    },
  ],
  [
    'STANDBY',
    'Cluster b serves; a pin keeps the main tag at b.',
    () => {
      const { world } = stronger()
      world.pin('b')
      return stepped(world)
    },
  ],
  [
    'STANDBY',
    'Cluster b serves; this cluster cannot prove now that it is stronger.',
    () => {
      const { world, own } = stronger()
      own.pods = null
      return stepped(world)
    },
  ],
  [
    'STANDBY',
    'Cluster b serves; another cluster is first in line.',
    () => {
      const { world } = stronger(['a', 'b', 'c'])
      world.cluster('c').reports(9)
      return stepped(world)
    },
  ],
  [
    'STANDBY',
    'Cluster b serves; it is in the middle of a rollout.',
    () => {
      const { world, peer } = stronger()
      peer.says({ updating: true })
      return stepped(world)
    },
  ],
  [
    'STANDBY',
    'Cluster b serves; this decider cannot publish, so it takes nothing over.',
    () => {
      const { world, decider } = stronger()
      decider.publishing = 'fails'
      world.run(60)
      return world
    },
  ],
  [
    'WAITING',
    'Cluster b serves; this cluster is stronger and takes over in 300 s if that lasts.',
    () => stepped(stronger().world),
  ],
  [
    'PROMOTING',
    'This cluster has been clearly stronger than b for long enough.',
    () => {
      const { world } = stronger()
      world.run(310)
      return world
    },
  ],
]

for (const [state, sentence, arrange] of ROWS) {
  t.test(`${state}: ${sentence}`, t => {
    const { plan } = arrange().deciders[0] ?? {}
    t.strictSame([plan?.state, plan?.explain], [state, sentence])
    if (plan?.step.kind === 'demote' || plan?.step.kind === 'promote') t.equal(plan.step.status.reason, state)
    t.end()
  })
}

t.test('the seconds that are left are rounded up, and never 0', t => {
  const { world, decider, peer } = quiet('a', 'b')
  peer.reports(0)
  world.step(10)
  const said = [7.5, 2, 0.4].map(() => '')
  for (const [index, seconds] of [9.5, 10, 0.4].entries()) {
    world.step(seconds)
    said[index] = /in (\d+) s/.exec(decider.plan.explain)?.[1] ?? ''
  }
  t.strictSame(said, ['11', '1', '1'])
  t.end()
})

function stepped(world: World): World {
  world.step(10)
  return world
}

/** Cluster b's decider falls silent, its runners do not. */
function silent({ world, peer }: ReturnType<typeof quiet>, { seconds }: { seconds: number }): World {
  peer.tag()
  world.step(10)
  peer.speaks = false
  world.run(seconds)
  return world
}

/** Cluster b serves with 1 pod, a watches with 4. */
function stronger(names = ['a', 'b']) {
  const scene = quiet('a', 'b', names)
  scene.peer.reports(1)
  return scene
}
